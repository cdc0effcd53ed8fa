"""Law: what a cache remembers is what a full pass computes."""

from collections.abc import Callable, Sequence

import pytest
import torch
from tests.tiny import batch, close, cut, every, ragged, real, shared_model, sketch, tiny
from torch import Tensor

from chiasm.backbone import Cache, GrowingCache, LockStep, StaticCache
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.stream import Inputs

CACHES: dict[str, Callable[[], Cache]] = {
    "growing": GrowingCache,
    "static": lambda: StaticCache(200),
}


def in_steps(model: Model, inputs: Inputs, cache: Cache, ends: Sequence[int]) -> Tensor:
    """Logits of runs of rows that end at `ends`; later runs than the images' come without them."""
    starts = [0, *ends[:-1]]
    media = inputs.source.ge(0).any(0)
    last = int(media.nonzero().max()) + 1 if bool(media.any()) else 1
    out = [
        model(cut(inputs, slice(start, end), media=start < last), cache=cache)
        for start, end in zip(starts, ends, strict=True)
    ]
    return torch.cat(out, 1)


def prompts(slug: str, side: str) -> Inputs:
    return batch(tiny(slug), ragged(), side=side)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("slug", every())
def test_cached_equals_uncached(slug, kind, side):
    model, inputs = shared_model(slug), prompts(slug, side)
    rows = inputs.ids.shape[1]
    got = in_steps(model, inputs, CACHES[kind](), [rows - 2, rows - 1, rows])
    close(got[real(inputs)], model(inputs)[real(inputs)], 1e-5)


def chunkable(answers: Answers) -> bool:
    """A prompt may come in pieces where nothing of it depends on what follows, nothing is fused
    beforehand and no tower is left behind.
    """
    decoder = sketch(answers).decoder
    return answers.shares_media and decoder.prologue is None and not isinstance(decoder, LockStep)


@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("slug", every(chunkable))
def test_chunked_prefill_equals_one_pass(slug, kind):
    """Chunk borders fall before, inside and after the images."""
    model, inputs = shared_model(slug), prompts(slug, "right")
    rows = inputs.ids.shape[1]
    got = in_steps(model, inputs, CACHES[kind](), [*range(2, rows, 7), rows])
    close(got[real(inputs)], model(inputs)[real(inputs)], 1e-5)
