"""Beyond Text: its card's checks on a manual with texts and pictures."""

import base64
import json

import pytest
from tests.answering.files import tools
from tests.answering.memory import Memory, section
from tests.answering.pictures import picture
from tests.answering.stub_server import serving

from chiasm.answering.desk import Desk, Question
from chiasm.answering.grading import Metric, Verdict, graded, mean
from chiasm.answering.past import Past
from chiasm.answering.pipeline import answer, pipeline, replay
from chiasm.answering.readers.server import Server
from chiasm.answering.records import Call
from chiasm.answering.summaries import Summaries
from chiasm.answering.trace import Trace
from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.unit import Kind

builds = pytest.mark.evidence(slug="industrial-rag", grade="builds")
lawful = pytest.mark.evidence(slug="industrial-rag", grade="lawful")
QUESTION = "Where is the drain valve of the boiler?"
SUMMARIES = {
    0: "A diagram of the boiler with its drain valve at the lower left.",
    1: "A photograph of a garden chair.",
    2: "A drawing of the boiler's drain valve, taken apart.",
}


def figure(number: int):
    caption = f"Figure {number}"
    return section(f"manual-{number}.pdf", caption, kind=Kind.FIGURE, picture=picture(number))


def manual() -> Memory:
    return Memory(
        [
            section("boiler.pdf", "The drain valve of the boiler is opened once a year"),
            section("boiler.pdf", "The boiler burns wood. The ash is taken out weekly", page=2),
            section("tea.pdf", "Tea is served at four"),
            *(figure(number) for number in SUMMARIES),
        ]
    )


def script(request):
    *_, message = request["messages"]
    words, *pictures = message["content"]
    if words["text"].startswith("Summarise"):
        [shown] = pictures
        data = base64.b64decode(shown["image_url"]["url"].partition(",")[2])
        [number] = [number for number in SUMMARIES if picture(number) == data]
        return SUMMARIES[number]
    return "At the lower left [1]."


def run(stub, memory=None, **settings):
    reader = Server.open(stub.address, retries=0)
    used = tools(manual(), reader)
    if memory is not None:
        object.__setattr__(used, "summaries", memory)
    return answer(pipeline("industrial-rag", **settings), Question(text=QUESTION), used)


@builds
@lawful
def test_a_summary_leads_to_the_picture_itself():
    with serving(script) as stub:
        made = run(stub)
    [shown] = [one for one in made.evidence() if one.picture is not None]
    assert shown.unit in ("manual-0.pdf#1", "manual-2.pdf#1") and shown.quote.startswith("Figure")
    _, *pictures = stub.requests[-1]["messages"][-1]["content"]
    [sent] = pictures
    number = int(shown.path[len("manual-")])
    assert base64.b64decode(sent["image_url"]["url"].partition(",")[2]) == picture(number)
    assert not any(summary in stub.prompt() for summary in SUMMARIES.values())
    assert list(replay(made).lines()) == list(made.lines())


@lawful
def test_two_stores_always_give_both_kinds():
    with serving(script) as stub:
        for k in (2, 4):
            found = run(stub, k=k, store="dual").found()
            figures = [one for one in found if one.id.startswith("manual")]
            assert len(figures) == k // 2 and len(found) == k


def test_one_store_ranks_all_together():
    with serving(script) as stub:
        made = run(stub, k=3, store="single")
    scores = [one.score for one in made.found()]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)


@lawful
def test_the_second_picture_never_reaches_the_reader():
    with serving(script) as stub:
        made = run(stub, k=4)
        assert sum(one.id.startswith("manual") for one in made.found()) == 2
        assert len([one for one in made.evidence() if one.picture]) == 1
        assert len(stub.requests[-1]["messages"][-1]["content"]) == 2


@lawful
def test_summaries_find_diagrams_that_captions_do_not():
    """Both diagrams before the chair, whose caption says as little as theirs."""
    with serving(script) as stub:
        found = [one.id for one in run(stub).found() if one.id.startswith("manual")]
    assert set(found) == {"manual-0.pdf#1", "manual-2.pdf#1"}


def test_a_picture_is_summarised_once(tmp_path):
    with serving(script) as stub:
        first = run(stub, Summaries(tmp_path / "kept.json"))
        asked = len(stub.requests)
        second = run(stub, Summaries(tmp_path / "kept.json"))
        assert len(stub.requests) == asked + 1
    assert [one.value for one in first.records if hasattr(one, "value")] == [
        one.value for one in second.records if hasattr(one, "value")
    ]
    (tmp_path / "kept.json").write_text("[]")
    with pytest.raises(ChiasmError, match="holds no summaries"):
        Summaries(tmp_path / "kept.json")


def verdict(grade):
    return Verdict(metric=Metric.RELEVANCY, grade=grade, reason="")


@lawful
def test_what_does_not_apply_is_left_out_of_the_mean():
    assert mean([verdict(1), verdict(None), verdict(1), verdict(0)]) == pytest.approx(2 / 3)
    with pytest.raises(Misuse, match="there is no mean"):
        mean([verdict(None)])


def judge(request):
    prompt = request["messages"][-1]["content"][0]["text"]
    if "correctness" in prompt:
        return 'As JSON: {"reason": "same", "grade": 1}'
    if "text faithfulness" in prompt:
        return '{"reason": "perhaps", "grade": 0.5}'
    return json.dumps({"reason": "no", "grade": 0})


@lawful
def test_a_judges_verdicts_replay_offline():
    with serving(script) as stub:
        made = run(stub, k=2, store="dual")
    no_pictures = Trace(one for one in made.records if getattr(one, "picture", None) is None)
    with serving(judge) as stub:
        used = tools(manual(), Server.open(stub.address, retries=0))
        verdicts = graded(Desk(no_pictures, used), "Lower left.")
    grades = {one.metric: one.grade for one in verdicts}
    assert grades[Metric.CORRECTNESS] == 1 and grades[Metric.RELEVANCY] == 0
    assert grades[Metric.IMAGE_CONTEXT] is grades[Metric.IMAGE_FAITHFULNESS] is None
    assert grades[Metric.TEXT_FAITHFULNESS] is None
    judgements = [one for one in no_pictures.records[len(made) - 1 :]]
    assert sum(isinstance(one, Call) for one in judgements) == 4
    again = Trace(one for one in made.records if getattr(one, "picture", None) is None)
    assert graded(Desk(again, None, past=Past(Trace(judgements))), "Lower left.") == verdicts
    assert again.records == no_pictures.records
