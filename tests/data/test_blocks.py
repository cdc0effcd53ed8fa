"""Batches of homogeneous blocks."""

from collections import Counter
from itertools import islice

import pytest

from chiasm.data.blocks import Blocks
from chiasm.errors import Misuse

COUNTS = {"a": 50, "b": 17, "c": 31}
WEIGHTS = {"a": 3.0, "b": 1.0, "c": 1.0}


def blocks(**told) -> Blocks:
    return Blocks(**{"counts": COUNTS, "weights": WEIGHTS, "batch": 12, "block": 4} | told)


def test_every_block_is_of_one_source_and_batches_are_full():
    for batch in islice(blocks().batches(), 50):
        assert len(batch) == 12
        for at in range(0, 12, 4):
            assert len({source for source, _ in batch[at : at + 4]}) == 1


def test_a_block_of_one_mixes_and_a_block_of_all_does_not():
    mixed = [len({s for s, _ in b}) for b in islice(blocks(block=1).batches(), 40)]
    whole = [len({s for s, _ in b}) for b in islice(blocks(block=12).batches(), 40)]
    assert sum(mixed) / 40 > 2 and set(whole) == {1}


def test_sources_come_by_weight():
    counted = Counter(s for b in islice(blocks(seed=3).batches(), 1000) for s, _ in b)
    total = sum(counted.values())
    assert counted["a"] / total == pytest.approx(0.6, abs=0.03)
    assert counted["b"] / total == pytest.approx(0.2, abs=0.03)


def test_an_epoch_of_a_source_repeats_no_sample():
    seen = [i for b in islice(blocks().batches(), 200) for s, i in b if s == "b"]
    for at in range(0, len(seen) - 16, 16):
        assert len(set(seen[at : at + 16])) == 16


@pytest.mark.parametrize("start", [1, 7, 30])
def test_what_a_step_holds_does_not_depend_on_where_reading_began(start):
    whole = list(islice(blocks(seed=5).batches(), start + 5))
    assert list(islice(blocks(seed=5).batches(start), 5)) == whole[start:]
    assert list(islice(blocks(seed=6).batches(start), 5)) != whole[start:]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"block": 5}, "blocks of 5 do not fill a batch of 12"),
        ({"weights": {"a": 1.0}}, "differ; name the same ones"),
        ({"weights": {**WEIGHTS, "b": 0.0}}, "weight 0.0 of b"),
        ({"counts": {**COUNTS, "b": 3}}, "b holds 3 samples, fewer than a block of 4"),
    ],
)
def test_refusals(told, said):
    with pytest.raises(Misuse, match=said):
        blocks(**told)
