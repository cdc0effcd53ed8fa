"""What a compressed model costs for one prompt: counted, held, and timed beside the full model."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

import torch

from chiasm.backbone import GrowingCache
from chiasm.compressing import Compressed
from chiasm.cost import count, peak_memory
from chiasm.cost.latency import in_turn, prefill, wait
from chiasm.cost.reduced import prefill_flops
from chiasm.decoding.generate import steps
from chiasm.model import Model
from chiasm.spec import Size
from chiasm.stream import Inputs, Modality

Key = TypeVar("Key")
Attach = Callable[[], AbstractContextManager[Compressed | None]]
"""Enters a method's context, or none: the full model's."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one prompt, batch 1."""

    prefill_flops: int
    """Connector, decoder at the tokens that were alive, and what the reducers multiply; dense
    pairs, no encoder, no head."""
    kv_bytes: int
    """Held by a cache after the prompt."""
    peak_bytes: int
    """Highest live tensor bytes of the prefill, weights included."""
    prefill_ms: float | None = None
    """Median; None: not timed."""
    decode_ms: float | None = None
    """Median, a token."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The prompt that every method is measured on."""

    model: Model
    inputs: Inputs
    image: Size
    """(height, width) of its picture, or of its first."""

    @property
    def text(self) -> int:
        table = self.inputs.table
        return int(((table.modality == int(Modality.TEXT)) & table.valid).sum())

    @property
    def visual(self) -> int:
        return int(self.inputs.table.valid.sum()) - self.text

    def cost(self, attach: Attach, stated: str | None) -> Cost:
        """All but the times; `stated` is the method as a bill is told it."""
        model, host = self.model, self.model.answers.host
        cache = GrowingCache()
        with attach() as context:
            prefill(model, self.inputs, cache)
            kept = () if context is None else context.kept
            with torch.inference_mode():
                peak = peak_memory(model, partial(prefill, model, self.inputs))
        alive = by_layer(kept, host.depth, self.visual)
        bill = count(model.answers, text=self.text, image_size=self.image, compress=stated)
        beside = bill.part_flops("connector") + bill.part_flops("compression")
        return Cost(
            prefill_flops=beside + prefill_flops(host, alive, text=self.text),
            kv_bytes=cache.bytes,
            peak_bytes=peak,
        )

    def seconds(self, attach: Attach, tokens: int) -> tuple[float, float]:
        """Of a prefill with its first token, and of each of `tokens` that follow it."""
        with attach():
            made = steps(self.model, self.inputs, max_new=1 + tokens)
            wait(self.model)
            began = time.perf_counter()
            next(made)
            wait(self.model)
            first = time.perf_counter()
            for _ in made:
                pass
            wait(self.model)
            return first - began, (time.perf_counter() - first) / tokens


def timed(
    prompt: Prompt,
    attach: Mapping[Key, Attach],
    costs: Mapping[Key, Cost],
    repeats: int,
    tokens: int,
) -> dict[Key, Cost]:
    """The costs with medians of times that all methods took in turn, the full model among them."""
    runs = {key: partial(prompt.seconds, one, tokens) for key, one in attach.items()}
    times = in_turn(runs, repeats, warm_up=2)
    return {
        key: replace(
            costs[key],
            prefill_ms=1e3 * median(first for first, _ in taken),
            decode_ms=1e3 * median(later for _, later in taken),
        )
        for key, taken in times.items()
    }


def by_layer(kept: Sequence[tuple[int, int]], depth: int, whole: int) -> list[int]:
    """Tokens alive in each layer, from what a context says was kept; nothing said: all of them."""
    alive = [whole] * depth
    for layer, tokens in kept:
        alive[layer:] = [tokens] * (depth - layer)
    return alive
