"""Fewer operations on the visual rows of a host (`VisualOperations`), all rows being kept.

Weights that become 0 behind the softmax act as values of 0 would: inactive heads keep and cache
values of 0 for visual rows, and decoding needs nothing further. What visual rows do not use of a
projection or of a feed-forward is not multiplied; keys of inactive heads are, for the sums of the
text rows' softmax. The window is a mask. Where visual rows stop they are dropped (`Reducing`).
"""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.context import Compressed
from chiasm.compressing.fewer_layers import LayerOperations
from chiasm.compressing.host import Host
from chiasm.compressing.hosted import HostReducing
from chiasm.compressing.hosts import host_of
from chiasm.compressing.rows import masks_of
from chiasm.compression.budgets import Share
from chiasm.compression.fates import Drop
from chiasm.compression.methods.yopo import dropped_at
from chiasm.compression.neighbours import neighbours
from chiasm.compression.operations import VisualOperations
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Alike
from chiasm.errors import Misuse
from chiasm.spec.reading import Execution

ALL = Reducer(site=Site(), scope=Scope.SAMPLE, scorer=Alike(), budget=Share(1.0), fate=Drop())
"""Nothing goes: only so that the host says which rows are visual."""


def fewer_operations(
    model: nn.Module,
    done: VisualOperations,
    *,
    execution: Execution = Execution.PLANNED,
) -> Compressed:
    """A context in which the visual rows of a prompt do less, as `done` says.

    Args:
        model: a transformers model, of the architectures that `compress` takes.
        done: what visual rows still do.
        execution: `MASKED` multiplies everything and takes away afterwards: the slow reference.

    Raises:
        Misuse: an unknown architecture, or heads or layers that are not this decoder's.
    """
    host = host_of(model)
    config: Any = host.decoder.config
    done.check(host.shape.depth, config.num_attention_heads, config.num_key_value_heads)
    masks_of(config._attn_implementation)
    if done.stop is not None and not host.shape.first <= done.stop < host.shape.depth:
        raise Misuse(
            f"visual rows can stop before layers {host.shape.first} to {host.shape.depth - 1} of "
            f"this model, not before layer {done.stop}"
        )
    return Compressed(FewerOperations(host, done, masked=execution is Execution.MASKED))


class FewerOperations(HostReducing):
    """A host whose visual rows do less."""

    def __init__(self, host: Host, done: VisualOperations, *, masked: bool) -> None:
        self.done = done
        last = ALL if done.stop is None else dropped_at(done.stop)
        super().__init__(host, (last,), (), masked=masked)
        self.visual: Tensor | None = None
        """Which rows of the call are visual, `[batch, row]`; None where none is."""
        self.columns: Tensor | None = None
        """Which rows up to this call's end are visual, in the slow reference."""
        self.seen: Tensor | None = None
        """Who sees whom, `[batch, row, past + row]`, where own rules say so."""

    def attach(self, stack: ExitStack) -> None:
        super().attach(stack)
        for number, layer in enumerate(self.host.decoder.layers):  # type: ignore[arg-type]
            if self.done.runs(number):
                own = LayerOperations(self, number, layer)
                for part, made in ((layer.self_attn, own.attend), (layer.mlp, own.think)):
                    # An attribute of the instance hides the class's method until the context ends.
                    part.forward = made
                    stack.callback(delattr, part, "forward")

    def _forget(self) -> None:
        super()._forget()
        self.visual = self.columns = self.seen = None

    def _entering(self, decoder: nn.Module, args: Any, told: dict[str, Any]) -> Any:
        entered = super()._entering(decoder, args, told)
        reducing = self._reducing
        assert reducing is not None
        visual = reducing.visual
        some = any(map(len, reducing.samples))
        if some and reducing.past:
            raise Misuse(
                f"pictures behind {reducing.past} rows that are cached cannot do fewer operations: "
                "give the whole conversation in one call"
            )
        self.visual = visual if some else None
        if some or not reducing.past:
            self.columns = self.visual
        elif self.columns is not None:
            self.columns = torch.cat([self.columns, visual], 1)
        self.seen = self._seen() if some or self.masked else None
        return entered

    def _seen(self) -> Tensor:
        """Causal order; visual rows of a unit among each other by the window, where there is one.

        Rows of padding see everything, so that no softmax is empty.
        """
        reducing = self._reducing
        assert reducing is not None
        past, rows = reducing.past, reducing.rows
        ends = torch.arange(past + reducing.length, device=rows.index.device)
        seen = ends <= rows.index.unsqueeze(-1)
        if reducing.given is not None:
            seen &= reducing.given[:, : past + reducing.length].bool().unsqueeze(1)
        if self.done.window is not None and self.visual is not None:
            seen &= ~(self.visual.unsqueeze(1) & self.visual.unsqueeze(2))
            for batch, sample in enumerate(reducing.samples):
                near = neighbours(sample.place, self.done.window)
                for of in (sample.item, sample.unit):
                    near &= of.unsqueeze(0) == of.unsqueeze(1)
                seen[batch, sample.rows.unsqueeze(1), sample.rows] = near
        return seen | ~rows.alive.unsqueeze(2)
