"""The card of 248 vilt. Equality with transformers' class is in `tests/hub`, the transport of words
to patches in `tests/objectives`.
"""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, shared_model, tiny

from chiasm.cost import count as bill_of
from chiasm.stream import Modality, Role, Stream

SLUG = "vilt"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = [(said(3, 1), Picture(1, 30, 50), said(4, 2), said(1, 3, Role.TAG))]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_swapping_text_and_image_blocks_leaves_every_row_unchanged():
    """Places and types are carried by the rows, so only their storage order changes."""
    model = shared_model(SLUG)
    stream = model.stream(batch(tiny(SLUG), SAMPLE))
    media = stream.table.modality[0] == int(Modality.IMAGE)
    swapped = torch.cat([(~media).nonzero()[:, 0], media.nonzero()[:, 0]])[None]
    table = stream.table.rows(swapped)
    order = torch.arange(swapped.shape[1])[None]
    assert not torch.equal(swapped, order)
    moved = Stream(stream.embeddings[:, swapped[0]], replace(table, order=order))
    close(model.decoder(moved), model.decoder(stream)[:, swapped[0]], 1e-5)


@lawful
def test_the_prompt_sees_itself_whole_and_no_answer():
    model, answers = shared_model(SLUG), tiny(SLUG)

    def logits(last: int, answer: int) -> torch.Tensor:
        asked = (said(3, 1), Picture(1, 30, 50), said(2, last), said(1, 3, Role.TAG))
        return model(batch(answers, [(*asked, said(3, answer, Role.ASSISTANT))]))

    one, other = logits(2, 4), logits(5, 4)
    assert (one[:, 0] - other[:, 0]).abs().max() > 1e-3
    spelt = logits(2, 6)
    close(one[:, :-3], spelt[:, :-3], 1e-6)
    assert (one[:, -3:] - spelt[:, -3:]).abs().max() > 1e-3


@lawful
def test_rows_are_marked_by_type():
    """The type of images is no shift that norms take out again: every row learns of it."""
    model = fresh(tiny(SLUG))
    inputs = batch(tiny(SLUG), SAMPLE)
    before = model(inputs)
    entry = model.decoder.stack.before["0"]
    with torch.no_grad():
        entry.types.weight[1] += torch.arange(29) / 29
    assert (model(inputs) - before).abs().max() > 1e-3


@lawful
def test_the_published_size_and_cost():
    """87.4M without the words' table; about 25 G multiply-adds at 240 patches and 40 words."""
    model = on_meta(SYSTEM.at("paper"))
    words = SYSTEM.at("paper").host.vocabulary * 768
    assert count(model) - words == pytest.approx(87.4e6, rel=0.01)
    bill = bill_of(SLUG, visual=240, text=40)
    layers = [line for line in bill.prefill if line.name.startswith("layer ")]
    assert sum(line.dense for line in layers) == pytest.approx(25e9, rel=0.02)
