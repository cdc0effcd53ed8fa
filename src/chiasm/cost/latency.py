"""Measured prefill time: prompt in, scores of the next token out."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import TypeVar

import torch
from torch import Tensor

from chiasm.backbone import Cache, GrowingCache
from chiasm.model import Model
from chiasm.stream import Inputs

Key = TypeVar("Key")
Found = TypeVar("Found")


@torch.inference_mode()
def prefill(model: Model, inputs: Inputs, cache: Cache | None = None) -> Tensor:
    """Runs the prompt into a cache, the head on the last row only; `[batch, 1, vocabulary]`."""
    hidden = model.hidden(inputs, cache=GrowingCache() if cache is None else cache)
    return model.scores(hidden[:, -1:])


def prefill_time(model: Model, inputs: Inputs, repeats: int = 5, *, warm_up: int = 1) -> float:
    """Median seconds of a prefill, after `warm_up` unmeasured ones."""
    times = alternating({"": model}, {"": inputs}, repeats, warm_up=warm_up)
    return times[""]


def alternating(
    models: Mapping[str, Model],
    inputs: Mapping[str, Inputs],
    repeats: int = 5,
    *,
    warm_up: int = 1,
) -> dict[str, float]:
    """Median seconds of each model's prefill, measured side by side: A, B, …, A, B, …

    A busy machine then slows all of them alike; compare their ratios.
    """
    return {
        name: median(times) for name, times in samples(models, inputs, repeats, warm_up).items()
    }


def samples(
    models: Mapping[str, Model], inputs: Mapping[str, Inputs], repeats: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Every measured time, in seconds, in the order in which they were taken."""
    if repeats < 1:
        raise ValueError(f"a median of {repeats} measurements is none; measure at least once")
    modes = {name: model.training for name, model in models.items()}
    for model in models.values():
        model.eval()
    runs = {name: partial(_once, model, inputs[name]) for name, model in models.items()}
    try:
        return in_turn(runs, repeats, warm_up)
    finally:
        for name, model in models.items():
            model.train(modes[name])


def in_turn(
    runs: Mapping[Key, Callable[[], Found]], repeats: int, warm_up: int = 1
) -> dict[Key, list[Found]]:
    """What each run found, side by side: A, B, …, A, B, …, the first `warm_up` turns left out."""
    found: dict[Key, list[Found]] = {name: [] for name in runs}
    for turn in range(warm_up + repeats):
        for name, run in runs.items():
            one = run()
            if turn >= warm_up:
                found[name].append(one)
    return found


def _once(model: Model, inputs: Inputs) -> float:
    wait(model)
    start = time.perf_counter()
    prefill(model, inputs)
    wait(model)
    return time.perf_counter() - start


def wait(model: Model) -> None:
    """Until the model's device has done what it was told."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
