"""The reader that only quotes: what it says is always in the evidence, or a refusal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.answering.files import documents
from tests.answering.memory import minilm

from chiasm.answering.readers.extractive import THRESHOLD, Extractive, counted
from chiasm.answering.records import Evidence
from chiasm.answering.requests import (
    REFUSAL,
    Describe,
    HowMany,
    Judge,
    Order,
    Plan,
    Read,
    permutation,
    yes,
)
from chiasm.data import pairs
from chiasm.embedders.house import House
from chiasm.errors import Misuse

RESULTS = sorted((Path(__file__).parents[3] / "results" / "answer_threshold").glob("*.json"))


@pytest.fixture(scope="module")
def reader():
    return Extractive(minilm())


EVIDENCE = tuple(
    Evidence(unit=one["path"], path=one["path"], title=one["title"], quote=one["text"])
    for one in documents()[:3]
)


def test_it_quotes_or_refuses(reader):
    asked = [(one, text) for one in documents()[:3] for text in (*one["missing"][:2],)]
    asked += [(one, text) for one in documents()[:3] for text, _ in one["questions"][:2]]
    for _, question in asked:
        said = reader.ask(Read(question=question, evidence=EVIDENCE), []).text
        if said != REFUSAL:
            sentence, _, mark = said.rpartition(" [")
            assert sentence in EVIDENCE[int(mark.rstrip("]")) - 1].quote


def test_nothing_to_read_is_a_refusal(reader):
    assert reader.ask(Read(question="Who?"), []).text == REFUSAL
    empty = Evidence(unit="a", path="a.png", quote=" ")
    assert reader.ask(Read(question="Who?", evidence=(empty,)), []).text == REFUSAL


def test_a_picture_without_words_is_named_where_look_and_title_fit():
    """A text model cannot look, and refuses; so does the reader where words stand beside."""
    wanted = ("penguin", "eggplant", "kettle")
    stamps = {pair.id.rsplit("/", 1)[-1]: pair for pair in pairs.SETS["stamps"]()}
    pictures = [Path(stamps[one].picture).read_bytes() for one in wanted]
    digests = tuple(str(at) * 64 for at in range(len(wanted)))
    evidence = tuple(
        Evidence(unit=digest, path=f"{title}.png", title=title, quote=title, picture=digest)
        for digest, title in zip(digests, wanted, strict=True)
    )

    def said(question, embedder, given=evidence):
        asked = Read(question=question, evidence=given, pictures=digests)
        return Extractive(embedder).ask(asked, pictures).text

    house = House.open()
    assert said("what boils water for tea in a kettle", minilm()) == REFUSAL
    assert said("a kettle that boils water", house) == "kettle [3]"
    assert said("a bird: a penguin", house) == "penguin [1]"
    assert said("the capital of Norway", house) == REFUSAL
    worded = tuple(replace(one, quote="Nothing of the kind.") for one in evidence)
    assert said("a kettle that boils water", house, worded) == REFUSAL


def test_candidates_are_ordered_and_judged(reader):
    question = "Who is our chimney sweep?"
    said = reader.ask(Order(question=question, candidates=EVIDENCE), []).text
    order = permutation(said, 3)
    assert order is not None and order[0] == 3
    assert yes(reader.ask(Judge(question=question, candidate=EVIDENCE[2]), []).text) is True
    assert yes(reader.ask(Judge(question=question, candidate=EVIDENCE[0]), []).text) is False


def test_its_own_words_describe_a_picture(reader):
    assert reader.ask(Describe(beside=EVIDENCE[0]), []).text == EVIDENCE[0].quote


def test_a_plan_is_beyond_it(reader):
    with pytest.raises(Misuse, match="writes no plans"):
        reader.ask(Plan(question="?", grammar=""), [])


@pytest.mark.parametrize(
    ("thing", "words", "count"),
    [
        ("dogs", "Two dogs and a cat.", 2),
        ("dog", "A dog. Another dog sleeps.", 2),
        ("cats", "3 black cats, 1 dog", 3),
        ("red cars", "four red cars and six cars", 4),
        ("dogs", "no dogs here", 0),
        ("dogs", "hot dogmatic debate", 0),
        ("dogs", "", 0),
    ],
)
def test_things_are_counted_in_words(thing, words, count):
    assert counted(thing, words) == count
    beside = Evidence(unit="p", path="p.png", quote=words)
    assert Extractive(minilm()).ask(HowMany(thing=thing, beside=beside), []).text == str(count)


def test_the_threshold_is_the_measured_one():
    assert RESULTS
    for path in RESULTS:
        found = json.loads(path.read_text())
        assert found["shipped"] == THRESHOLD and abs(found["threshold"] - THRESHOLD) <= 0.01


@pytest.mark.parametrize(
    ("said", "meant"),
    [("Yes.", True), ("**no**", False), ("NO, it", False), ("nothing", None), ("maybe", None)],
)
def test_yes_and_no_are_read(said, meant):
    assert yes(said) is meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2, 1, 3", (2, 1, 3)),
        ("[3] > [1] > [2]", (3, 1, 2)),
        ("1, 2", None),
        ("1, 1, 2", None),
        ("1, 2, 3, 4", None),
        ("no idea", None),
    ],
)
def test_an_order_is_read_or_refused_never_guessed(said, meant):
    assert permutation(said, 3) == meant
