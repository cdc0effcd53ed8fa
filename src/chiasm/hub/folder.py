"""chiasm's own checkpoint folder: answers, weights, tokenizer and template, whole or refused.

A system that transformers has too keeps its weights in transformers' layout, as the only copy, so
that the same folder opens in both.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from chiasm.data.template import Template
from chiasm.errors import ChiasmError, Misuse
from chiasm.hub.answers_json import from_json, to_json
from chiasm.hub.formats import written
from chiasm.hub.names import Names
from chiasm.hub.parts import joined
from chiasm.hub.tensors import INDEX, TENSORS, unique_state, write_tensors
from chiasm.hub.tokens import SpecialTokens
from chiasm.model import Model
from chiasm.spec import Answers, Scale

FILE = "chiasm.json"
CONFIG = "config.json"
GENERATION = "generation_config.json"
FORMAT = 1
OWN, TRANSFORMERS = "chiasm", "transformers"
IDENTITY = Names((("", ""),))
"""The names of chiasm's own layout."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What `chiasm.json` says."""

    answers: Answers
    layout: str
    """`chiasm` or `transformers`: whose names the tensors bear."""
    tokens: SpecialTokens
    slug: str | None = None
    scale: str | None = None
    extra: Mapping[str, Any]
    rest: str | None = None
    """Where the folder holds only what differs from pretrained parts: SHA-256 of what those give
    (`chiasm.hub.changes`)."""


def save(
    model: Model,
    folder: str | Path,
    *,
    slug: str | None = None,
    scale: Scale | str | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    tokens: SpecialTokens | None = None,
    template: Template | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint that `chiasm.load` opens; returns its folder.

    A new folder appears complete or not at all. In one that exists, other files stay, and an
    interrupted write leaves it without the file that makes it a checkpoint. `extra` is kept as it
    is (JSON), read again as `Record.extra`. `tokens`, those of a loaded checkpoint for instance,
    stand instead of the tokenizer's.
    """
    if tokens is None:
        tokens = SpecialTokens() if tokenizer is None else tokens_of_tokenizer(tokenizer)
    try:
        config, names, _ = written(model.answers, tokens)
    except ChiasmError:
        config, names = None, IDENTITY
    told = {
        "slug": slug,
        "scale": None if scale is None else str(Scale(scale)),
        "layout": OWN if config is None else TRANSFORMERS,
        "extra": dict(extra or {}),
    }

    def write(target: Path) -> None:
        write_weights(model, names, config, target)
        write_beside(target, model.answers, tokens, told, tokenizer, template)

    return write_whole(Path(folder), write)


def write_beside(
    target: Path,
    answers: Answers,
    tokens: SpecialTokens,
    told: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase | None,
    template: Template | None,
) -> None:
    """All of a checkpoint but its tensors; `told` is what its description says besides."""
    if tokenizer is not None:
        tokenizer.save_pretrained(target)
    if template is not None:
        template.save(target)
    record = {
        "format": FORMAT,
        "tokens": tokens.entries()
        | {"image_token_id": tokens.image, "indicator_token_ids": list(tokens.indicators)},
        "answers": to_json(answers),
        **told,
    }
    _write_json(record, target / FILE)


def write_weights(model: Model, names: Names, config: Any, target: Path) -> None:
    """The tensors under their written names and, in transformers' layout, the config."""
    state = unique_state(model)
    written_as = joined({names.theirs(name): tensor for name, tensor in state.items()})
    write_tensors(written_as, target / TENSORS)
    if config is not None:
        config.dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
        config.save_pretrained(target)


def read_record(folder: Path) -> Record:
    """What a chiasm folder says of itself.

    Raises:
        ChiasmError: not JSON, another format version, an answer this chiasm does not have.
    """
    path = folder / FILE
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if entries["format"] != FORMAT:
            raise ChiasmError(
                f"{path}: has format {entries['format']!r}, this chiasm reads {FORMAT}; update it"
            )
        told = entries["tokens"]
        eos = told["eos_token_id"]
        record = Record(
            answers=from_json(entries["answers"]),
            layout=entries["layout"],
            tokens=SpecialTokens(
                image=told["image_token_id"],
                bos=told["bos_token_id"],
                eos=() if eos is None else (eos,) if isinstance(eos, int) else tuple(eos),
                pad=told["pad_token_id"],
                # Folders of the first release have no such entry.
                indicators=tuple(told.get("indicator_token_ids", ())),
            ),
            slug=entries["slug"],
            scale=entries["scale"],
            extra=entries["extra"],
            rest=entries.get("rest"),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ChiasmError(f"{path}: not a checkpoint's description ({reason:.120})") from None
    except ChiasmError as error:
        raise ChiasmError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    if not isinstance(record.answers, Answers) or record.layout not in (OWN, TRANSFORMERS):
        raise ChiasmError(f"{path}: holds no answers, or an unknown layout {record.layout!r}")
    return record


def tokens_of_tokenizer(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """The ids that a tokenizer gives a meaning; its image token is called `<image>`."""
    # Annotated as lists too, which only several-codebook tokenizers give.
    ids: Any = tokenizer
    eos = ids.eos_token_id
    return SpecialTokens(
        image=tokenizer.get_vocab().get("<image>"),
        bos=ids.bos_token_id,
        eos=() if eos is None else (eos,),
        pad=ids.pad_token_id,
    )


def write_whole(folder: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill an empty folder beside `folder`, then put its files in place at once."""
    if folder.exists() and not folder.is_dir():
        raise Misuse(f"{folder} is a file; name a folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        partial.chmod(0o755)
        write(partial)
        for path in (*partial.rglob("*"), partial):
            _reach_disk(path)
        if folder.exists():
            _replace(partial, folder)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _replace(partial: Path, folder: Path) -> None:
    """Move files over; what makes the folder a checkpoint goes first and comes back last."""
    marks = (CONFIG, FILE)
    for name in (*marks, INDEX, GENERATION):
        (folder / name).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name in marks):
        os.replace(path, folder / path.name)
    _reach_disk(folder)


def _write_json(entries: Mapping[str, Any], path: Path) -> None:
    try:
        text = json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ChiasmError(f"what the checkpoint is to say is no JSON ({error})") from None
    path.write_text(text + "\n", encoding="utf-8")


def _reach_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def without_source(answers: Answers) -> Answers:
    """The answers of a model whose weights are all at hand: nothing is read from elsewhere."""
    encoder: Any = answers.encoder
    held = getattr(encoder, "weights", None)
    return answers if held is None else replace(answers, encoder=replace(encoder, weights=None))
