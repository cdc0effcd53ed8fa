"""Fusion before the stack: text reads all media tokens once, then few go on (LLaVA-Mini)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from chiasm.fusion.entry import AsRowsAndMemory
from chiasm.spec import Host, Work
from chiasm.spec.reading import Execution
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, decoder_layer
from chiasm.stream import Memory, Role, Stream, TokenTable


@dataclass(frozen=True, kw_only=True)
class PreFusion(AsRowsAndMemory):
    """`layers` decoder blocks over [all media tokens, kept tokens, text] before the stack.

    Their outputs at kept and text rows replace those rows; the media tokens are dropped. Answer
    rows take no part: they keep their embeddings and nobody sees them (LLaVA-Mini, arXiv
    2501.03895). Neither do samples without an image.
    """

    layers: int

    @property
    def most_axes(self) -> int | None:
        return 1

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(prologue=Fuse(parts.stack(self.layers)))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if tokens == 0:
            return ()
        rows = text + tokens
        return [
            replace(
                work,
                once=True,
                reads=Reads.FUSED if work.reads is Reads.SEQUENCE else work.reads,
            )
            for _ in range(self.layers)
            for work in decoder_layer(host, rows, rows * rows, "pre-fusion")
        ]

    def cached(self, host: Host, tokens: int) -> int:
        return 0


class Fuse(nn.Module):
    """The prologue: builds the fused stream, runs the blocks, keeps the sequence's rows."""

    def __init__(self, stack: nn.Module) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, stream: Stream, execution: Execution) -> Stream:
        memory = stream.memory
        if memory is None:
            return stream
        fused = Stream(
            torch.cat([memory.tokens.to(stream.embeddings.dtype), stream.embeddings], dim=1),
            fused_table(memory, stream.table),
        )
        hidden = self.stack(fused, execution=execution)[:, memory.tokens.shape[1] :]
        # Samples without an image stay the host's own, beside whichever samples they stand.
        alone = ~memory.table.valid.any(1, keepdim=True)
        raw = ((stream.table.role == int(Role.ASSISTANT)) | alone).unsqueeze(-1)
        return replace(stream, embeddings=torch.where(raw, stream.embeddings, hidden), memory=None)


def fused_table(memory: Memory, table: TokenTable) -> TokenTable:
    """Identities of [media tokens, sequence rows]: reading order is media, kept tokens, text."""
    count = memory.table.valid.sum(1, keepdim=True)
    kept = (table.modality > 0) & table.valid
    before = kept.long().cumsum(1) - kept.long()
    kept_count = kept.sum(1, keepdim=True)
    first = _running(memory.table.valid)
    order = torch.where(kept, count + before, table.order + count + kept_count)
    text_position = table.position - before.unsqueeze(-1) + (count + kept_count).unsqueeze(-1)
    kept_position = (count + before).unsqueeze(-1).to(text_position)
    moved = replace(
        table,
        order=order,
        position=torch.where(kept.unsqueeze(-1), kept_position, text_position),
    )
    media = replace(memory.table, order=first, position=first.unsqueeze(-1).to(text_position))
    return media.append(moved)


def _running(valid: Tensor) -> Tensor:
    """0, 1, 2, … over the valid rows."""
    return (valid.long().cumsum(1) - 1).clamp(min=0)
