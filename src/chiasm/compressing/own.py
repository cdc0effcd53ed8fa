"""Reducers attached to chiasm's own models: the stack asks, layer by layer, which rows go on."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.backbone import Decoder
from chiasm.compressing.own_attention import OwnAttention
from chiasm.compressing.own_looks import OwnLooks
from chiasm.compressing.rows import Rows
from chiasm.compressing.sample import Sample
from chiasm.compressing.showing import Attends, Shown
from chiasm.compressing.weights import quantised_weights
from chiasm.compression.companion import WeightCodec
from chiasm.compression.evidence import Look
from chiasm.compression.method import HostShape
from chiasm.compression.reducer import Reducer, by_layer
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec.reading import Kept, Reading
from chiasm.stream import Inputs, Permission, Stream
from chiasm.stream.table import packed


def shape_of(model: Model) -> HostShape:
    """What methods are told of the model.

    Raises:
        Misuse: a model whose pictures are not rows of one stack that runs all of them.
    """
    stack, wrong = model.decoder.stack, ""
    if type(model.decoder) is not Decoder or not stack.attends:
        wrong = "its decoder is not one stack of attention layers"
    elif not model.answers.fusion.enters or model.answers.fusion.reads_memory:
        wrong = "its pictures are read as a memory, not as rows of the sequence"
    elif len(stack.sorted_by_plan) > 1 or stack.lanes or not all(p.complete for p in stack.plans):
        wrong = "its layers run different rows already, by kind"
    elif stack.joined or stack.beside or stack.between or model.decoder.prologue is not None:
        wrong = "its layers read more than the sequence"
    elif model.answers.head.pointers:
        wrong = "its head points at rows that would be gone"
    if wrong:
        raise Misuse(f"visual tokens of this model cannot be dropped: {wrong}")
    looks = OwnLooks(model, ())
    return HostShape(
        depth=stack.depth, first=1, blocks=looks.blocks, class_token=looks.class_tokens > 0
    )


class OwnReducing:
    """The reducers of one context on one of our models."""

    def __init__(
        self,
        model: Model,
        reducers: Sequence[Reducer],
        looks: Sequence[Look],
        *,
        masked: bool,
        weights: WeightCodec | None = None,
    ) -> None:
        self.model, self.masked, self.weights = model, masked, weights
        self.looks = OwnLooks(model, looks)
        self.by_layer = by_layer(reducers)
        self.kept: list[tuple[int, int]] = []
        self._samples: list[Sample] | None = None
        self._numbers: Tensor | None = None
        self._inputs: Inputs | None = None
        self._making = False
        self._before: Attends | None = None

    def attach(self, stack: ExitStack) -> None:
        """Hook the model until the stack of callbacks is closed."""
        own: Any = self.model
        thin = self.model.decoder.stack.thin
        if thin:
            raise Misuse("this model is compressed already; leave that context first")
        if self.weights is not None:
            layers = self.model.decoder.stack.layers
            stack.enter_context(quantised_weights(layers, self.weights))
        asked = {*self.by_layer, *(layer - 1 for layer in self.by_layer if layer)}
        stack.callback(thin.clear)
        for layer in sorted(asked):
            thin[layer] = self._thin
        own.stream = self._watched(own.stream)
        stack.callback(delattr, own, "stream")
        self.looks.attach(stack)

    def _watched(self, make: Callable[..., Stream]) -> Callable[..., Stream]:
        """A new call of the model begins where its stream is made."""

        @wraps(make)
        def stream(inputs: Inputs, **told: Any) -> Stream:
            if self._making:  # of a pass that only helps to make the stream, and is not thinned
                return make(inputs, **told)
            self._samples = self._numbers = self._before = self._inputs = None
            self.looks.begin(inputs)
            self._making = True
            try:
                made = make(inputs, **told)
            finally:
                self._making = False
            self._inputs = inputs
            return made

        return stream

    def _thin(
        self,
        hidden: Tensor,
        reading: Reading,
        block: nn.Module,
        permission: Callable[[], Permission],
    ) -> Kept | None:
        layer = reading.layer
        if self._inputs is None:
            return None
        if self._samples is None:
            self._samples = self._found(reading)
            if sum(map(len, self._samples)):
                self.kept = [(0, sum(map(len, self._samples)))]
        if not any(map(len, self._samples)):
            return None
        assert self._numbers is not None
        rows = Rows(self._numbers, reading.table.valid, bool(reading.table.valid.all()))
        attends = OwnAttention(block, hidden, reading, permission)
        shown = Shown(hidden, rows, 0, attends, self._before)
        stays = reading.table.valid
        for reducer in self.by_layer.get(layer, ()):
            left = shown.reduced(reducer, self._samples, None)
            if left is None:
                continue
            hidden, stays = left[0], stays & ~left[1]
            alive = Rows(self._numbers, stays, bool(stays.all()))
            shown = shown.now(
                hidden, alive, OwnAttention(block, hidden, reading, permission, stays)
            )
        changed = stays is not reading.table.valid
        self._before = None
        if layer + 1 in self.by_layer:
            self._before = OwnAttention(block, hidden, reading, permission, stays)
        if not changed:
            return None
        self.kept.append((layer, sum(map(len, self._samples))))
        if not self.masked:
            slots, _ = packed(stays)
            self._numbers = self._numbers.gather(1, slots)
            if self._before is not None:
                self._before = self._before.among(slots)
        return Kept(stays, hidden, self.masked)

    def _found(self, reading: Reading) -> list[Sample]:
        """The visual tokens of every sample of the call."""
        table, source, inputs = reading.table, reading.source, self._inputs
        assert inputs is not None
        batch, count = table.shape
        device = table.device
        self._numbers = torch.arange(count, device=device).expand(batch, -1)
        if source is None:
            return [_nothing(device) for _ in range(batch)]
        found = []
        for number in range(batch):
            rows = ((source[number] >= 0) & table.valid[number]).nonzero().squeeze(1)
            found.append(
                Sample(
                    rows,
                    table.item[number, rows],
                    table.unit[number, rows],
                    table.place[number, rows, 1:].long(),
                    self.looks.of(number, source[number, rows], inputs),
                )
            )
        return found


def _nothing(device: torch.device) -> Sample:
    none = torch.zeros(0, dtype=torch.long, device=device)
    return Sample(none, none, none, none.view(0, 1).expand(-1, 2), {})
