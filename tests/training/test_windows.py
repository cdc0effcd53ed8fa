import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.toy import ready

from chiasm.data import Dataset, Turn
from chiasm.data.order import Order
from chiasm.errors import ChiasmError
from chiasm.model import Model
from chiasm.training.prefetch import Ahead, Window, windows


def gradients(model: Model, window: Window) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    losses = [model.loss(piece, total=window.labels) for piece in window.pieces]
    for loss in losses:
        loss.backward()
    total = float(sum(loss.detach() for loss in losses))
    return total, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def window(data: Path, accumulate: int) -> tuple[Model, Window]:
    model, dataset, collator = ready(data)
    order = Order(len(dataset), 3)
    made = windows(dataset, collator, order, start=1, batch=7, accumulate=accumulate)
    return model, next(made)


def test_accumulated_gradients_equal_one_large_batch(data: Path) -> None:
    model, whole = window(data, 1)
    _, pieces = window(data, 3)
    assert [len(piece.ids) for piece in pieces.pieces] == [2, 1, 1]  # the epoch's last 4 of 11
    assert whole.ids == pieces.ids
    assert (whole.labels, whole.tokens) == (pieces.labels, pieces.tokens)
    loss, wanted = gradients(model, whole)
    again, found = gradients(model, pieces)
    assert again == pytest.approx(loss, abs=1e-6)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-6, rtol=1e-5)
    # Pieces of unequal label counts: a mean of their own means would be another number.
    counts = [int((piece.labels >= 0).sum()) for piece in pieces.pieces if piece.labels is not None]
    assert len(set(counts)) > 1


def test_packed_questions_teach_what_separate_ones_do(data: Path) -> None:
    model, dataset, collator = ready(data)
    packed = collator.batch(dataset[:5], teach=True, packed=True)
    apart = collator.batch(dataset[:5], teach=True, packed=False)
    assert packed.ids.shape[0] == 5 < apart.ids.shape[0]
    results = []
    for inputs in (packed, apart):
        model.zero_grad()
        loss = model.loss(inputs)
        loss.backward()
        results.append((loss.item(), {n: p.grad for n, p in model.named_parameters()}))
    (loss, wanted), (again, found) = results
    assert again == pytest.approx(loss, abs=1e-5)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-5, rtol=1e-4)


def test_windows_do_not_depend_on_where_reading_began(data: Path) -> None:
    _, dataset, collator = ready(data)

    def ids(start: int, count: int) -> list[tuple[int, tuple[str, ...]]]:
        order = Order(len(dataset), 1)
        made = windows(dataset, collator, order, start=start, batch=3, accumulate=1)
        return [(w.epoch, w.ids) for w, _ in zip(made, range(count), strict=False)]

    assert ids(0, 9)[5:] == ids(5, 4)


def test_a_window_without_answers_names_its_samples(data: Path) -> None:
    _, dataset, collator = ready(data)
    mute = Dataset("mute", "train", tuple(replace(e, turns=()) for e in dataset))
    mute = replace(mute, examples=tuple(replace(e, turns=(Turn("Why?"),)) for e in dataset))
    silent = replace(collator, template=replace(collator.template, after_answer=""))
    made = windows(mute, silent, Order(11, 0), start=0, batch=2, accumulate=1)
    with pytest.raises(ChiasmError, match=r"no answer to learn from in the samples p\d+, p\d+;"):
        next(made)


def test_an_error_of_the_reader_arrives_in_its_turn() -> None:
    made = Window(epoch=0, ids=("a",), pieces=(), labels=1, drafts=0, tokens=1, images=0)

    def source() -> Iterator[Window]:
        yield made
        raise ChiasmError("broken picture")

    with Ahead(source()) as ahead:
        assert next(ahead) is made
        with pytest.raises(ChiasmError, match="broken picture"):
            next(ahead)


def test_the_thread_ends_with_its_context() -> None:
    made = Window(epoch=0, ids=("a",), pieces=(), labels=1, drafts=0, tokens=1, images=0)
    with Ahead(iter([made] * 50), depth=2) as ahead:
        next(ahead)
    assert not [t for t in threading.enumerate() if t.name == "chiasm-prefetch"]
