"""The card of 247 unidoc: places as plain text, scored."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip

from chiasm.data import load
from chiasm.data.spotted import Spot, boxes, celled, read, texts, written
from chiasm.data.written_words import ASKED, Page, sample_page
from chiasm.errors import Misuse
from chiasm.evaluation.spotting import Found, found, iou

SLUG = "unidoc"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

words = st.text(min_size=1, max_size=9).map(str.strip).filter(bool)
edges = st.integers(0, 999)
areas = st.tuples(edges, edges, edges, edges).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
spots = st.one_of(
    words.map(lambda text: Spot(text=text)),
    areas.map(lambda box: Spot(box=box)),
    st.tuples(words, areas).map(lambda pair: Spot(*pair)),
)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_connector_is_one_linear_map():
    assert count(on_meta(SYSTEM.at("paper")), "connector") == 1024 * 4096 + 4096


@lawful
@given(st.lists(spots, max_size=6))
def test_what_is_written_is_read_back(some):
    assert read(written(some)) == tuple(some)


@lawful
@given(st.text(max_size=60), st.lists(spots, max_size=4))
def test_nothing_that_is_said_stops_a_score(answer, truth):
    score = found(answer, truth)
    assert 0 <= score.f <= 1 and score.matched <= min(score.said, score.there)


@lawful
@pytest.mark.parametrize("entry", ["cat [1,2,3]", "[5,5,1,9]", "[1,2,3,4000]", "a [1,2,3,4] b"])
def test_malformed_entries_are_misses(entry):
    truth = [Spot("dog", (10, 10, 50, 50))]
    assert read(entry) == (None,)
    score = found(f"{entry}; dog [10,10,50,50]", truth)
    assert (score.matched, score.said, score.there) == (1, 2, 1)
    assert score.precision == 0.5 and score.recall == 1.0 and score.f == pytest.approx(2 / 3)


@lawful
@given(st.tuples(st.integers(8, 90), st.integers(8, 90)), st.data(), st.integers(2, 9))
def test_boxes_do_not_change_with_the_scale(size, data, factor):
    height, width = size
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, width)] * 2)))
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, height)] * 2)))
    box = (left, top, right, bottom)
    larger = celled([factor * value for value in box], (factor * height, factor * width))
    assert larger == celled(box, size)
    Spot(box=larger)


@lawful
def test_scores_of_perfect_and_of_half_right_answers():
    truth = [Spot("Bob", (0, 0, 99, 99)), Spot("kip", (200, 200, 299, 299))]
    assert found(written(truth), truth) == Found(2, 2, 2)
    assert found(written(truth[::-1]), truth).f == 1.0
    # Half of a box shifted away: 50 of 150 columns are shared.
    assert iou((0, 0, 99, 99), (50, 0, 149, 99)) == pytest.approx(1 / 3)
    assert found("bob [50,0,149,99]; kip [200,200,299,299]", truth) == Found(1, 2, 2)
    assert found("bob [25,0,124,99]; pik [200,200,299,299]", truth) == Found(1, 2, 2)
    assert found("bob [0,0,99,99]; bob [0,0,99,99]", truth).matched == 1
    assert found("", []).f == 1.0 and found("", truth).f == 0.0 and found("x", []).f == 0.0
    assert (Found(1, 2, 2) + Found(2, 2, 2)).f == pytest.approx(0.75)


@lawful
def test_the_nearest_of_two_boxes_is_the_one_that_counts():
    truth = [Spot(box=(0, 0, 99, 99)), Spot(box=(20, 0, 119, 99))]
    assert found("[18,0,117,99]; [0,0,99,99]", truth).matched == 2


@lawful
def test_one_spotting_answer_holds_those_of_detection_and_recognition():
    for example in load("written-words", "test")[:200]:
        page = example.images[0]
        assert isinstance(page, Page)
        said = {task: turn.answer for task, turn in zip(ASKED, example.turns, strict=True)}
        spotted = [spot for spot in read(said["spotting"]) if spot is not None]
        assert written(boxes(spotted)) == said["detection"]
        assert written(texts(spotted)) == said["recognition"]
        assert texts(spotted)[0] == Spot(said["top"])
        assert found(said["detection"], boxes(page.spots())).f == 1.0


@lawful
def test_boxes_of_drawn_words_hold_their_ink_and_no_other():
    for seed in range(30):
        page = sample_page(Random(f"ink {seed}"))
        image = page.draw().convert("L").point(lambda value: 255 * (value < 128))
        for word, x, y in page.words:
            inked = image.crop((x, y, x + 18, y + 11)).getbbox()
            assert inked is not None and len(word) == 3
            image.paste(0, (x, y, x + 18, y + 11))
        assert image.getbbox() is None


@lawful
def test_impossible_spots_are_refused():
    for text, box, says in (
        (None, None, "text or a box"),
        (" a", None, "blanks"),
        ("a", (5, 0, 4, 9), "no left"),
        ("a", (0, 0, 1000, 9), "no left"),
    ):
        with pytest.raises(Misuse, match=says):
            Spot(text, box)
