"""Sample order: a pure function of the step, so that a run resumes exactly."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.data.order import Order
from chiasm.errors import Misuse

counts, seeds, batch_sizes = st.integers(1, 60), st.integers(0, 2**40), st.integers(1, 70)


GOLDEN = ([0, 1, 2, 7, 5, 6, 9, 8, 4, 3], [5, 8, 9, 6, 3, 7, 0, 1, 2, 4])


def test_the_order_never_changes():
    assert Order(10, seed=3).indices(0).tolist() == GOLDEN[0]
    assert Order(10, seed=3).indices(1).tolist() == GOLDEN[1]


@given(counts, seeds, st.integers(0, 1000))
def test_every_epoch_is_a_permutation(count, seed, epoch):
    indices = Order(count, seed).indices(epoch)
    assert indices.dtype == np.int64
    assert sorted(indices.tolist()) == list(range(count))
    assert (indices == Order(count, seed).indices(epoch)).all()


def test_epochs_and_seeds_differ():
    orders = {tuple(Order(50, seed).indices(epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@settings(max_examples=60)
@given(counts, seeds, batch_sizes, st.integers(0, 50), st.booleans())
def test_resuming_needs_only_the_step(count, seed, batch_size, start, drop_last):
    order = Order(count, seed)
    if drop_last and batch_size > count:
        return
    whole = list(islice(order.batches(0, batch_size, drop_last=drop_last), start + 7))
    resumed = list(islice(order.batches(start, batch_size, drop_last=drop_last), 7))
    assert resumed == whole[start:]


@settings(max_examples=60)
@given(counts, batch_sizes)
def test_an_epoch_sees_every_sample_once(count, batch_size):
    order = Order(count)
    batches = list(islice(order.batches(0, batch_size), order.steps(batch_size)))
    assert {epoch for epoch, _ in batches} == {0}
    assert sorted(i for _, batch in batches for i in batch) == list(range(count))
    assert all(len(batch) == batch_size for _, batch in batches[:-1])


def test_dropping_the_last():
    batches = list(islice(Order(10).batches(0, 4, drop_last=True), 5))
    assert [epoch for epoch, _ in batches] == [0, 0, 1, 1, 2]
    assert all(len(batch) == 4 for _, batch in batches)


def test_misuse():
    with pytest.raises(Misuse, match="at least one sample, not 0"):
        Order(0)
    with pytest.raises(Misuse, match="not -1"):
        Order(3, seed=-1)
    with pytest.raises(Misuse, match="batch_size is at least 1, not 0"):
        next(Order(3).batches(0, 0))
    with pytest.raises(Misuse, match="not -2"):
        next(Order(3).batches(-2, 1))
    with pytest.raises(Misuse, match="batch_size 4 exceeds the 3 samples"):
        next(Order(3).batches(0, 4, drop_last=True))
