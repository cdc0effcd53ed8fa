"""Law: questions packed into one row sequence learn what they learn apart."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import (
    Picture,
    Sample,
    Text,
    batch,
    close,
    close_gradients,
    every,
    fresh,
    gradients,
    said,
    shared_model,
    tiny,
)

from chiasm.spec import Answers
from chiasm.stream import Role


def packable(answers: Answers) -> bool:
    return answers.shares_media


def segment(number: int, seed: int, question: int, answer: int) -> tuple[Text, ...]:
    return (
        said(question, seed, segment=number),
        said(1, seed + 1, Role.TAG, segment=number),
        said(answer, seed + 2, Role.ASSISTANT, segment=number),
    )


PREFIXES: tuple[Sample, ...] = (
    (said(3, 1), Picture(1, 30, 50)),
    (said(2, 2), Picture(2, 64, 64), said(1, 3), Picture(3, 17, 21)),
)
SEGMENTS = (
    (segment(1, 10, 3, 2), segment(2, 20, 1, 4), segment(3, 30, 5, 1)),
    (segment(1, 40, 2, 3), segment(2, 50, 4, 2)),
)


def packed() -> list[Sample]:
    return [
        (*prefix, *(piece for group in groups for piece in group))
        for prefix, groups in zip(PREFIXES, SEGMENTS, strict=True)
    ]


def apart() -> list[Sample]:
    return [
        (*prefix, *(replace(piece, segment=0) for piece in group))
        for prefix, groups in zip(PREFIXES, SEGMENTS, strict=True)
        for group in groups
    ]


@pytest.mark.parametrize("slug", every(packable))
def test_packed_equals_unpacked_in_loss_and_gradients(slug):
    one, other = fresh(tiny(slug)), fresh(tiny(slug))
    together = one.losses(batch(tiny(slug), packed())).main
    single = other.losses(batch(tiny(slug), apart())).main
    close(together, single, 1e-5)
    together.backward()
    single.backward()
    close_gradients(gradients(one), gradients(other), 1e-5)


@pytest.mark.parametrize("slug", every(packable))
def test_packed_rows_give_the_logits_they_give_apart(slug):
    model = shared_model(slug)
    whole, single = batch(tiny(slug), packed()), batch(tiny(slug), apart())
    close(model(whole)[whole.labels >= 0], model(single)[single.labels >= 0], 1e-5)


@pytest.mark.parametrize("slug", every(lambda a: packable(a) and a.host.mixer is None))
def test_packing_under_a_sliding_window(slug):
    """A window counts the places a reader passes, not the rows of other segments between."""
    answers = tiny(slug)
    answers = replace(answers, host=replace(answers.host, windows=(7, None, 4)))
    model = fresh(answers).requires_grad_(False)
    whole, single = batch(answers, packed()), batch(answers, apart())
    close(model(whole)[whole.labels >= 0], model(single)[single.labels >= 0], 1e-5)


@pytest.mark.parametrize("slug", every(packable))
def test_a_segment_reads_no_other(slug):
    """Other words in the first segment leave the second's logits alone; bit for bit, but for the
    rounding of a product whose other rows changed (rows grouped by their expert).
    """
    model = shared_model(slug)
    groups = SEGMENTS[0]
    changed = (segment(1, 60, 3, 2), *groups[1:])
    outputs = []
    for chosen in (groups, changed):
        inputs = batch(
            tiny(slug), [(*PREFIXES[0], *(piece for group in chosen for piece in group))]
        )
        outputs.append(model(inputs)[inputs.table.segment >= 2])
        first = model(inputs)[inputs.table.segment == 1]
        outputs.append(first)
    close(outputs[0], outputs[2], 1e-6)
    assert not torch.equal(outputs[1], outputs[3])
