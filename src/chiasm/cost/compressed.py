"""A prompt whose visual rows methods take out layer by layer, and what their choice costs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from chiasm.backbone import Hierarchy
from chiasm.compression.alive import counted
from chiasm.compression.evidence import BlockKeys, BlockLook
from chiasm.compression.method import HostShape, Method
from chiasm.compression.stated import together
from chiasm.cost.bill import Line
from chiasm.cost.geometry import Prompt
from chiasm.cost.reduced import own_lines
from chiasm.cost.trunk import trunk
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.stream import Modality, TokenTable


def compressed(
    model: Model, prompt: Prompt, methods: Sequence[Method], name: str
) -> tuple[Prompt, list[Line]]:
    """The prompt with the rows of each layer, and the reducers' own work.

    A layer's visual rows are evenly spaced ones of the tokens that are alive: under causal order
    any others cost the same.

    Raises:
        Misuse: the system's visual rows do not stand in the sequence, or a method needs what the
            host has not.
    """
    answers, layers = model.answers, trunk(model)
    found = prompt.geometry
    if not found.placeholders or not answers.fusion.enters or answers.fusion.reads_memory:
        raise Misuse(
            f"{name} has no visual rows that only its sequence holds, so no method can take any "
            "out; compress a system like llava-1.5, with an image"
        )
    if isinstance(model.decoder, Hierarchy) or answers.host.mixer is not None:
        raise Misuse(f"{name} keeps no keys of single rows, so no method can take rows out of it")
    blocks, class_token = encoder_blocks(answers.encoder)
    shape = HostShape(depth=len(layers), first=1, blocks=blocks, class_token=class_token)
    reducers = together(methods, shape)
    reads = (BlockLook, BlockKeys)
    if not blocks and any(isinstance(look, reads) for one in reducers for look in one.needs):
        raise Misuse(f"{name}'s encoder has no attention blocks that a method could read")
    rest = counted(reducers, (found.rows_per_view,), len(layers))
    after = prompt.rows - prompt.first_media_row - found.placeholders
    own = own_lines(
        rest, answers.host, text=prompt.text, question=after, encoder=answers.encoder.width
    )
    tables = {count: _left(prompt.table, count) for count in dict.fromkeys(rest.alive)}
    return replace(prompt, cut=tuple(tables[count] for count in rest.alive)), own


def encoder_blocks(encoder: Any) -> tuple[int, bool]:
    """How many attention blocks an encoder states, and whether it has a class token."""
    config = getattr(encoder, "config", None)
    if config is not None:
        return config.num_hidden_layers, bool(encoder.family.prefix(config))
    return getattr(encoder, "depth", 0), getattr(encoder, "class_token", False)


def _left(table: TokenTable, count: int) -> TokenTable:
    """The table with `count` of its media rows, evenly spaced, and all of its text."""
    media = (table.modality[0] != int(Modality.TEXT)).nonzero().flatten()
    if count == len(media):
        return table
    chosen = (2 * torch.arange(count) + 1) * len(media) // max(1, 2 * count)
    held = table.modality[0] == int(Modality.TEXT)
    held[media[chosen]] = True
    return table.rows(held.nonzero().T)
