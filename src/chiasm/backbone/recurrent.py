"""A state-space mixer of one layer, in attention's place; its state stands for all earlier rows."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.backbone.attention import Step
from chiasm.backbone.cache import Cache, Key
from chiasm.backbone.lines import Lines, line_up
from chiasm.layers.mamba2 import GatedNorm, split_projected
from chiasm.layers.selective import ScanState, SelectiveScan
from chiasm.spec.host import Host
from chiasm.spec.slots import Site, Weights
from chiasm.spec.state_space import StateSpace
from chiasm.stream import TokenTable

_LINES = "lines"


class Recurrent(nn.Module):
    """z, xBC, dt = W_in u; out = W_out norm(scan(xBC, dt), z) (Mamba-2, arXiv 2405.21060).

    A row reads the rows before it in its own segment and in the shared prefix. A cache holds the
    last rows that the convolution reads and one state, for each segment, however long it is.
    """

    def __init__(
        self, host: Host, sizes: StateSpace, layer: int, weights: Weights, key: Key
    ) -> None:
        super().__init__()
        self.sizes, self.key = sizes, ("state", key)
        self.in_proj = weights.linear(
            layer, Site.MIXER_IN, host.width, sizes.projected, bias=sizes.bias
        )
        self.scan = SelectiveScan(sizes)
        self.norm = GatedNorm(sizes.inner, sizes.groups, sizes.norm_eps)
        self.out_proj = weights.linear(
            layer, Site.MIXER_OUT, sizes.inner, host.width, bias=sizes.bias
        )

    def forward(
        self, normed: Float[Tensor, "batch token width"], first: int, norm: nn.Module, step: Step
    ) -> Float[Tensor, "batch token width"]:
        """The update of every row."""
        reading = step.reading
        lines = _lines(step)
        gate, rows, dt = split_projected(self.in_proj(normed, reading), self.sizes)
        y = self._scanned(rows, dt, lines, step.cache)
        return self.out_proj(self.norm(y, gate), reading)

    def _scanned(self, rows: Tensor, dt: Tensor, lines: Lines, cache: Cache | None) -> Tensor:
        held = None if cache is None else cache.memory.get(self.key)
        (shared, own), (shared_dt, own_dt) = lines.arrange(rows), lines.arrange(dt)
        past = None if held is None else ScanState(held[0][:, 0], held[1][:, 0])
        if shared.shape[1]:
            shared, end = self.scan(shared, shared_dt, lines.shared, past)
        else:
            shared, end = shared[..., : self.sizes.inner], past or self.scan.nothing(rows)
        recent, state = end.recent.unsqueeze(1), end.state.unsqueeze(1)
        if lines.segments:
            after = _starts(end, held, lines)
            if own.shape[1]:
                own, after = self.scan(own, own_dt, lines.own.flatten(0, 1), after)
            lead = len(rows), lines.segments
            recent = torch.cat([recent, after.recent.unflatten(0, lead)], 1)
            state = torch.cat([state, after.state.unflatten(0, lead)], 1)
        if cache is not None:
            cache.memory[self.key] = recent, state
        return lines.restore(shared, own[..., : self.sizes.inner])


def _starts(end: ScanState, held: tuple[Tensor, ...] | None, lines: Lines) -> ScanState:
    """The state `[batch * segment, …]` that each segment goes on from: its own, or the prefix's."""
    made: list[Tensor] = []
    for at, last in enumerate((end.recent, end.state)):
        values = last.unsqueeze(1).expand(-1, lines.segments, *(-1,) * (last.dim() - 1))
        if held is not None and held[at].shape[1] > 1:
            known = held[at].shape[1] - 1
            begun = lines.begun[:, :known].view(-1, known, *(1,) * (last.dim() - 1))
            old = torch.where(begun, held[at][:, 1:], values[:, :known])
            values = torch.cat([old, values[:, known:]], 1)
        made.append(values.flatten(0, 1))
    return ScanState(*made)


def _lines(step: Step) -> Lines:
    """The call's lines, made by the first layer that asks and kept for the others."""
    notes, cache = step.reading.call.notes, step.cache
    if _LINES not in notes:
        kept = None if cache is None else cache.memory.get(_LINES)
        table: TokenTable = step.reading.table
        lines = line_up(table, None if kept is None else kept[0])
        if cache is not None:
            cache.memory[_LINES] = (_with_own(lines),)
        notes[_LINES] = lines
    return cast(Lines, notes[_LINES])


def _with_own(lines: Lines) -> Tensor:
    """The segments that have rows by the end of the call."""
    return lines.begun | lines.own.any(-1) if lines.own.shape[2] else lines.begun
