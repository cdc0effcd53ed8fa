"""A checkpoint with all that talking to it needs: model, tokenizer, template, token ids."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from chiasm.data import template as templates
from chiasm.data.collate import Collator
from chiasm.data.template import Template
from chiasm.data.templates import named
from chiasm.data.tokenizer import open_tokenizer
from chiasm.errors import ChiasmError
from chiasm.hub.folder import FILE, read_record
from chiasm.hub.module import KeywordModel
from chiasm.hub.read import load
from chiasm.hub.tokens import SpecialTokens
from chiasm.model import Model
from chiasm.weights import resolve


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An opened folder; tokenizer and template are read when they are first asked for."""

    folder: Path
    model: Model
    tokens: SpecialTokens
    slug: str | None
    """The system's name; None for a folder of transformers' own."""
    scale: str | None

    @functools.cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return open_tokenizer(self.folder)

    @functools.cached_property
    def template(self) -> Template:
        """The stored template; without one, that which the system's answers name."""
        if (self.folder / templates.FILE).is_file():
            return Template.open(self.folder)
        return named(self.model.answers.template)

    @functools.cached_property
    def collator(self) -> Collator:
        return Collator(self.model.answers, self.template, self.tokenizer)


def open_checkpoint(
    name: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    allow_pickle: bool = False,
) -> Checkpoint:
    """The checkpoint of an alias, a folder or a hub id, ready to answer.

    Raises:
        ChiasmError: as `load`, and for a folder of a vision model alone.
    """
    folder = resolve(str(name), allow_pickle=allow_pickle)
    opened: Any = load(folder, device=device, dtype=dtype, allow_pickle=allow_pickle)
    if not isinstance(opened, KeywordModel):
        raise ChiasmError(f"{folder}: holds a vision model alone, which cannot answer")
    record = read_record(folder) if (folder / FILE).is_file() else None
    return Checkpoint(
        folder=folder,
        model=opened.model,
        tokens=opened.tokens,
        slug=None if record is None else record.slug,
        scale=None if record is None else record.scale,
    )
