"""Generation over every registered system: what the loop continues is what the model says."""

import pytest
import torch
from tests.tiny import Picture, Sample, Text, batch, every, said, shared_model, tiny

from chiasm.backbone import GrowingCache, StaticCache
from chiasm.decoding import Sampling, generate, steps
from chiasm.decoding.generate import last_rows
from chiasm.errors import Misuse
from chiasm.stream import Role

PROMPTS: tuple[Sample, ...] = (
    (said(3, 1), Picture(1, 30, 50), said(4, 2), said(1, 3, Role.TAG)),
    (said(6, 5), said(1, 6, Role.TAG)),
    (Picture(2, 21, 17), said(3, 9), Picture(3, 64, 64), said(2, 10), said(1, 11, Role.TAG)),
)
NEW = 5


def one_by_one(slug: str, prompt: Sample, new: int) -> list[int]:
    """Greedy ids without a cache: the whole sample again for every id."""
    model, said_so_far = shared_model(slug), []
    for _ in range(new):
        answer = (Text(tuple(said_so_far), Role.ASSISTANT),) if said_so_far else ()
        said_so_far.append(int(model(batch(tiny(slug), [(*prompt, *answer)]))[0, -1].argmax()))
    return said_so_far


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("slug", every())
def test_batched_and_cached_is_what_one_sample_says_uncached(slug, side):
    inputs = batch(tiny(slug), PROMPTS, side=side)
    expected = [[one_by_one(slug, prompt, NEW)] for prompt in PROMPTS]
    for cache in (None, GrowingCache(), StaticCache(300)):
        found = generate(shared_model(slug), inputs, max_new=NEW, cache=cache)
        assert found.ids.tolist() == expected
        assert found.lengths.tolist() == [[NEW]] * 3


@pytest.mark.parametrize("slug", every(lambda a: a.shares_media))
def test_packed_segments_say_what_they_say_alone(slug):
    prefix = (said(2, 1), Picture(1, 30, 50))
    questions = [(said(n + 1, 20 + n), said(1, 30, Role.TAG)) for n in range(3)]
    packed = (
        *prefix,
        *(
            Text(piece.words, piece.role, number)
            for number, question in enumerate(questions, 1)
            for piece in question
        ),
    )
    inputs = batch(tiny(slug), [packed])
    segment = inputs.table.segment[0]
    ends = torch.tensor([[int((segment == number).nonzero().max()) for number in (1, 2, 3)] + [-1]])
    found = generate(shared_model(slug), inputs, ends, max_new=NEW, pad=77)
    assert found.ids[0, :3].tolist() == [
        one_by_one(slug, (*prefix, *question), NEW) for question in questions
    ]
    assert found.ids[0, 3].tolist() == [77] * NEW
    assert found.lengths.tolist() == [[NEW, NEW, NEW, 0]]


@pytest.fixture(scope="module")
def some() -> str:
    return every()[0].values[0]


def test_a_stop_id_ends_its_own_row(some):
    inputs = batch(tiny(some), PROMPTS)
    free = generate(shared_model(some), inputs, max_new=NEW).ids[:, 0].tolist()
    stop = free[0][2]
    found = generate(shared_model(some), inputs, max_new=NEW, stop=[stop], pad=99)
    for ids, length, said_freely in zip(found.ids[:, 0], found.lengths[:, 0], free, strict=True):
        expected = said_freely.index(stop) + 1 if stop in said_freely else NEW
        assert int(length) == expected
        assert ids[:expected].tolist() == said_freely[:expected]
        assert ids[expected:].tolist() == [99] * (ids.numel() - expected)
    assert found.rows([stop])[0] == [free[0][: free[0].index(stop)]]


def test_it_ends_when_every_row_has(some):
    inputs = batch(tiny(some), PROMPTS)
    first = generate(shared_model(some), inputs, max_new=1).ids
    assert first.shape == (3, 1, 1)
    stops = set(first.flatten().tolist())
    assert len(list(steps(shared_model(some), inputs, max_new=NEW, stop=stops))) == 1


def test_nothing_new_is_refused(some):
    with pytest.raises(Misuse, match="cannot generate 0 tokens"):
        generate(shared_model(some), batch(tiny(some), PROMPTS), max_new=0)


def test_sampling_is_repeated_by_its_seed(some):
    inputs = batch(tiny(some), PROMPTS)
    one, same, other = (
        generate(
            shared_model(some), inputs, max_new=9, sampling=Sampling(temperature=5.0, seed=seed)
        ).ids
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_last_rows_are_the_last_valid_ones():
    for side, expected in (("right", None), ("left", None)):
        table = batch(tiny(every()[0].values[0]), PROMPTS, side=side).table
        expected = [int(valid.nonzero().max()) for valid in table.valid]
        assert last_rows(table).flatten().tolist() == expected
