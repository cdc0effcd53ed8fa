"""Candidates by their best passages; what has no words stays where retrieval put it."""

from tests.answering.files import tools
from tests.answering.memory import Memory, section

from chiasm.answering.desk import Question
from chiasm.answering.pipeline import answer
from chiasm.answering.pipelines.plain import Plain
from chiasm.answering.records import Found

TEXTS = {
    "roof.txt": "The roof was mended by Heinrich last spring.",
    "pump.txt": "The pump P-4711 is in the cellar beside the boiler.",
    "garden.txt": "Roses grow beside the pump house.",
}


def test_units_without_words_keep_their_places():
    held = [section(path, text) for path, text in TEXTS.items()]
    bare = section("pump.png", "", title="pump")
    trace = answer(
        Plain(), Question(text="Where is the pump P-4711?"), tools(Memory([*held, bare]))
    )
    found = [one for one in trace.records if isinstance(one, Found)]
    before = [one.id for one in found if one.stage == "retrieved"]
    after = [one for one in found if one.stage == "reranked"]
    place = before.index(bare.id)
    assert [one.id for one in after].index(bare.id) == place
    assert after[0 if place else 1].id == "pump.txt#1"
    scores = [one.score for one in after]
    assert scores == sorted(scores, reverse=True) and sorted(before) == sorted(
        one.id for one in after
    )
