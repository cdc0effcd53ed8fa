"""The card of 042 llava-read: two encoders, and words that come as text."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.assemble import build
from chiasm.connectors import MLP, AddedDetail
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.data import load
from chiasm.data.example import Example, Turn
from chiasm.data.read_out import (
    LEAD,
    in_reading_order,
    line,
    read_back,
    spots_of,
    told_before,
    with_words,
)
from chiasm.data.spotted import Spot, boxes, read, written
from chiasm.encoders import ImageBytes, NoEncoder
from chiasm.errors import Misuse
from chiasm.evaluation.spotting import found
from chiasm.retrieval.unit import Span
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "llava-read"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
HALF = tiny(SLUG).encoder.width // 2
"""Channels of the first encoder."""

words = st.text(min_size=1, max_size=9).map(str.strip).filter(bool)
edges = st.integers(0, 999)
areas = st.tuples(edges, edges, edges, edges).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
spots = st.lists(st.builds(Spot, words, areas), max_size=6)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_published_sizes():
    answers = SYSTEM.at("paper")
    for size in ((480, 640), (768, 768)):
        plan = geometry(answers, size)
        assert plan.grids == ((24, 24),) and plan.placeholders == 576
    model = on_meta(answers)
    projector = (1024 + 1) * 4096 + (4096 + 1) * 4096
    assert count(model, "connector") == 1536 * 1024 + projector
    clip, conv = model.encoder.parts
    assert sum(p.numel() for p in clip.parameters()) / 1e6 == pytest.approx(303, rel=0.01)
    assert sum(p.numel() for p in conv.parameters()) / 1e6 == pytest.approx(196, rel=0.01)


@lawful
def test_with_zero_fusion_weights_tokens_are_the_first_encoders():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    plain = MLP().build(HALF, 29).requires_grad_(False)
    plain.load_state_dict(model.connector.each.state_dict())
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(2, 16, 2 * HALF, generator=generator)
    alone = plain.connect(Features(tokens[..., :HALF], (4, 4))).embeddings
    assert float((model.connector.connect(Features(tokens, (4, 4))).embeddings - alone).abs().max())
    model.connector.detail.weight.zero_()
    assert torch.equal(model.connector.connect(Features(tokens, (4, 4))).embeddings, alone)
    assert not build(tiny(SLUG)).connector.detail.weight.any()


@lawful
def test_detail_is_added_channel_by_channel():
    made = fresh(tiny(SLUG)).connector.requires_grad_(False)
    tokens = torch.randn(1, 6, 2 * HALF, generator=torch.Generator().manual_seed(2))
    sums = torch.stack(
        [
            row[:HALF] + sum(row[HALF + c] * made.detail.weight[:, c] for c in range(HALF))
            for row in tokens[0]
        ]
    )
    expected = made.each.connect(Features(sums[None], (2, 3))).embeddings
    close(made.connect(Features(tokens, (2, 3))).embeddings, expected, 1e-5)


@lawful
def test_channels_that_do_not_split_are_refused():
    for share in ((1, 3), (0, 2), (2, 2)):
        with pytest.raises(ValueError, match="no two parts"):
            AddedDetail(share=share, each=MLP()).build(20, 29)
    for encoder, why in ((ImageBytes(), "cannot multiply"), (NoEncoder(), "no encoder reads")):
        with pytest.raises(Misuse, match=why):
            build(replace(tiny(SLUG), encoder=encoder))


@lawful
def test_without_a_word_read_the_prompt_is_the_question():
    """So it is LLaVA with two encoders: nothing else of the model knows of the reader."""
    assert told_before("what is this?", ()) == "what is this?"
    spot = Spot("stop", (1, 2, 30, 40))
    assert told_before("what?", [spot]) == f"{LEAD}stop<box 1,2,30,40>\nwhat?"


@lawful
def test_images_stay_where_they_stand_in_a_question():
    asked = Turn("is it in this or this?", "both", places=(9, 17))
    example = Example("one", (Path("a.png"), Path("b.png")), (asked, Turn("why?", "so")))
    first, second = with_words(example, [Spot("stop", (1, 2, 30, 40))]).turns
    assert [first.question[place:] for place in first.places] == ["this or this?", "this?"]
    assert first.question.endswith(asked.question) and second == example.turns[1]
    alone = with_words(replace(example, independent=True), [Spot("stop", (1, 2, 30, 40))])
    assert all(turn.question.startswith(LEAD) for turn in alone.turns)


@lawful
def test_what_was_read_changes_the_texts_length_alone():
    answers = tiny(SLUG)
    short = batch(answers, [(Picture(1, 30, 50), said(3, 1))])
    longer = batch(answers, [(Picture(1, 30, 50), said(9, 1))])
    assert int((short.source >= 0).sum()) == int((longer.source >= 0).sum()) == 16
    assert longer.ids.shape[1] == short.ids.shape[1] + 6
    model = fresh(answers).requires_grad_(False)
    rows = [model.stream(x).embeddings[x.source >= 0] for x in (short, longer)]
    assert torch.equal(rows[0], rows[1])


@lawful
@given(spots)
def test_a_line_is_read_back(some):
    assert read_back(line(some)) == in_reading_order(some)


@lawful
@given(spots, st.integers(0, 7))
def test_a_line_holds_whole_words_up_to_its_budget(some, most):
    assert read_back(line(some, most)) == in_reading_order(some)[:most]
    assert sorted(map(repr, in_reading_order(some))) == sorted(map(repr, some))


@lawful
def test_words_are_told_line_by_line():
    told = [
        Spot("b", (500, 12, 600, 30)),
        Spot("c", (10, 100, 90, 120)),
        Spot("a", (10, 15, 90, 33)),
        Spot("d", (200, 90, 290, 112)),
    ]
    assert [spot.text for spot in in_reading_order(told)] == ["a", "b", "c", "d"]
    assert spots_of([Span(text=" x ", box=(0.25, 0.5, 0.75, 1.0)), Span(text="y")]) == (
        Spot("x", (250, 500, 749, 999)),
    )


@lawful
def test_shuffled_boxes_keep_recognition_and_hurt_localisation():
    """An answer copied from the line, on drawn pages of two words or more."""
    draw, matched, there = Random(5), 0, 0
    for example in load("written-words-read", "test")[:150]:
        turns = example.turns
        told = read_back(turns[0].question.removeprefix(LEAD).split("\n")[0])
        if len(told) < 2:
            continue
        assert all(turn.question.startswith(LEAD) for turn in turns)
        recognised = written([Spot(spot.text) for spot in told])
        places = [spot.box for spot in told]
        draw.shuffle(places)
        if places == [spot.box for spot in told]:
            continue
        shuffled = [replace(spot, box=box) for spot, box in zip(told, places, strict=True)]
        truth = [spot for spot in read(turns[2].answer) if spot is not None]
        assert found(written(told), truth).f == found(recognised, [*map(_text, truth)]).f == 1.0
        assert [spot.text for spot in shuffled] == [spot.text for spot in told]
        assert found(written(boxes(told)), boxes(truth)).f == 1.0
        score = found(written(shuffled), truth)
        matched, there = matched + score.matched, there + score.there
    assert there > 100 and matched / there < 0.5


def _text(spot: Spot) -> Spot:
    return Spot(spot.text)


@lawful
def test_the_bill_is_what_runs():
    answers = tiny(SLUG)
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
