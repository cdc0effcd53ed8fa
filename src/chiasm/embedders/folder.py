"""An embedder's own folder: answers, weights and tokenizers, whole or refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from chiasm.data.tokenizer import open_tokenizer
from chiasm.embedders.building import BuiltEmbedder, build
from chiasm.errors import ChiasmError
from chiasm.hub.answers_json import from_json, to_json
from chiasm.hub.folder import write_whole
from chiasm.hub.tensors import check, unique_state, write_tensors
from chiasm.spec.embedder import EmbedderAnswers

FILE, TENSORS, TOKENIZERS = "embedder.json", "model.safetensors", "tokenizers"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What a folder holds."""

    embedder: BuiltEmbedder
    slug: str | None
    scale: str | None
    extra: Mapping[str, Any]


def save(
    embedder: BuiltEmbedder,
    folder: str | Path,
    *,
    slug: str | None = None,
    scale: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder that `open_folder` opens, complete or not at all; returns it."""
    record = {
        "format": FORMAT,
        "slug": slug,
        "scale": scale,
        "words": {name: len(t) for name, t in embedder.tokenizers.items() if t is not None},
        "answers": to_json(embedder.model.answers),
        "extra": dict(extra or {}),
    }

    def write(target: Path) -> None:
        write_tensors(unique_state(embedder.model), target / TENSORS)
        for name, tokenizer in embedder.tokenizers.items():
            if tokenizer is not None:
                tokenizer.save_pretrained(target / TOKENIZERS / name)
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        (target / FILE).write_text(text + "\n", encoding="utf-8")

    return write_whole(Path(folder), write)


def open_folder(folder: str | Path, device: torch.device | str = "cpu") -> Saved:
    """The embedder of a folder, in evaluation mode.

    Raises:
        ChiasmError: not an embedder's folder, or one that is damaged.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ChiasmError(
                f"{folder}: has format {record['format']!r}, this chiasm reads {FORMAT}; update it"
            )
        answers = from_json(record["answers"])
        words = {str(name): int(count) for name, count in record["words"].items()}
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ChiasmError(f"{folder}: not an embedder's folder ({reason:.120})") from None
    if not isinstance(answers, EmbedderAnswers):
        raise ChiasmError(f"{folder}: {FILE} holds no embedder; save it again")
    fitted = {t.name: words[t.name] for t in answers.encode if t.encoder.vocabulary is not None}
    model = build(answers, device=device, words=fitted)
    own = unique_state(model)
    check(
        {name: tuple(tensor.shape) for name, tensor in own.items()},
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        folder,
    )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    tokenizers = {
        tower.name: open_tokenizer(folder / TOKENIZERS / tower.name)
        if tower.name in words
        else None
        for tower in answers.encode
    }
    return Saved(
        embedder=BuiltEmbedder(model.eval(), tokenizers),
        slug=record["slug"],
        scale=record["scale"],
        extra=record["extra"],
    )
