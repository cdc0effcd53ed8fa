"""mRAG: its card's checks, with the extractive reader and with a scripted server."""

import re

import pytest
from tests.answering.files import documents, household, tools
from tests.answering.stub_server import serving

from chiasm.answering.desk import Question
from chiasm.answering.pipeline import answer, pipeline, replay
from chiasm.answering.readers.server import Server
from chiasm.answering.records import Call, Found

builds = pytest.mark.evidence(slug="mrag", grade="builds")
lawful = pytest.mark.evidence(slug="mrag", grade="lawful")
ASKED = documents()[0]["questions"][0]


@pytest.fixture(scope="module")
def library():
    return household()


def stage(made, name: str) -> list[str]:
    return [one.id for one in made.of(Found) if one.stage == name]


@builds
@pytest.mark.parametrize("rerank", ["none", "pointwise", "listwise"])
def test_it_answers_and_replays(library, rerank):
    question, expected = ASKED
    made = answer(pipeline("mrag", k=3, rerank=rerank), Question(text=question), tools(library))
    assert expected in made.answered().text
    assert list(replay(made).lines()) == list(made.lines())


@lawful
@pytest.mark.parametrize("rerank", ["pointwise", "listwise"])
def test_recall_at_the_whole_pool_is_the_retrievers(library, rerank):
    made = answer(
        pipeline("mrag", k=5, rerank=rerank, reflect=False),
        Question(text="When is it opened?"),
        tools(library),
    )
    assert set(stage(made, rerank)) == set(stage(made, "retrieved"))
    assert len(stage(made, rerank)) == 5


def scripted(said: str, judged: str, ordered: str = "none"):
    """A server that judges, orders and answers as it is told."""

    def script(request):
        prompt = request["messages"][-1]["content"][0]["text"]
        if prompt.startswith("Does the evidence"):
            return judged
        return ordered if prompt.startswith("Put the evidence") else said

    return serving(script)


@lawful
def test_rejecting_every_candidate_is_the_closed_book(library):
    question = "Who built the lathe?"
    with scripted("A person.", judged="No.") as stub:
        reader = Server.open(stub.address, retries=0)
        made = answer(pipeline("mrag", k=3), Question(text=question), tools(library, reader))
    assert stub.prompt() == question
    assert made.answered().text == "A person." and made.evidence() == []
    judged = [call for call in made.of(Call) if call.arguments.get("request") == "judge"]
    # Three, and three more that were looked for when none helped.
    assert len(judged) == 6 and len({call.arguments["prompt"] for call in judged}) == 6
    assert "none of 3 candidates helps; 3 more are looked at" in made.notes()
    assert list(replay(made).lines()) == list(made.lines())


@lawful
def test_only_candidates_that_help_reach_the_reader(library):
    def script(request):
        prompt = request["messages"][-1]["content"][0]["text"]
        if prompt.startswith("Does the evidence"):
            return "yes" if "lathe.md" in prompt else "no"
        return "3, 1, 2" if prompt.startswith("Put the evidence") else "Weiler [1]."

    with serving(script) as stub:
        reader = Server.open(stub.address, retries=0)
        made = answer(pipeline("mrag", k=3), Question(text=ASKED[0]), tools(library, reader))
    assert {one.path for one in made.evidence()} == {"workshop/lathe.md"}
    assert stage(made, "reflected") == ["workshop/lathe.md#1"]


@lawful
def test_every_shift_is_asked_and_each_candidate_stands_once_at_every_place(library):
    with scripted("x", judged="yes", ordered="1, 2, 3") as stub:
        reader = Server.open(stub.address, retries=0)
        made = answer(pipeline("mrag", k=3), Question(text=ASKED[0]), tools(library, reader))
    prompts = [
        call.arguments["prompt"]
        for call in made.of(Call)
        if call.arguments.get("request") == "order"
    ]
    orders = [re.findall(r"--- evidence \[\d\]: (\S+), page", prompt) for prompt in prompts]
    assert len(orders) == 3
    assert all(len(set(column)) == 3 for column in zip(*orders, strict=True))
    # A judge that only looks at places says nothing: all scores are equal.
    scores = {one.score for one in made.of(Found) if one.stage == "listwise"}
    assert scores == {0.5}


def test_what_is_no_judgement_keeps_the_candidate_and_is_told(library):
    with scripted("x", judged="perhaps", ordered="no idea") as stub:
        reader = Server.open(stub.address, retries=0)
        made = answer(pipeline("mrag", k=2), Question(text=ASKED[0]), tools(library, reader))
    assert stage(made, "reflected") == stage(made, "retrieved")
    assert any("were no order of the candidates" in note for note in made.notes())
    assert sum("neither yes nor no" in note for note in made.notes()) == 2
