"""MMNDB: its card's checks over drawn scenes, whose contents are known."""

import json

import pytest
from tests.answering.files import tools
from tests.answering.pictures import Gold, gallery, scenes, truth
from tests.answering.stub_server import serving

from chiasm.answering.database.errors import count_error
from chiasm.answering.desk import Question
from chiasm.answering.pipeline import answer, pipeline, replay
from chiasm.answering.readers.server import Server
from chiasm.answering.records import Call, Found
from chiasm.errors import Misuse

builds = pytest.mark.evidence(slug="mmndb", grade="builds")
SHAPES = ("circles", "squares", "triangles", "crosses")


def asked(question, reader=None, **settings):
    made = answer(pipeline("mmndb", **settings), Question(text=question), tools(gallery(), reader))
    assert list(replay(made).lines()) == list(made.lines())
    return made


def relevant(thing: str) -> tuple:
    return ((thing, tuple(unit for unit, number in truth(thing).items() if number)),)


def seen(made) -> dict[str, int]:
    """What the processor said of every picture that was looked at."""
    [call] = [one for one in made.of(Call) if one.tool == "DuckDB"]
    return {unit: number for unit, *_, number in call.arguments["rows"]}


@builds
def test_questions_about_pictures_run_and_replay():
    made = asked("How many circles are there?", Gold())
    assert made.answered().text == str(sum(truth("circles").values()))
    assert {one.path for one in made.answered().citations} == {
        gallery().units([unit])[0].path for unit, number in truth("circles").items() if number
    }
    assert made.notes()[0] == "plan: count circles"
    assert made.notes()[1].startswith("SQL: SELECT coalesce(sum(number), 0) FROM shows")


@builds
@pytest.mark.parametrize("thing", SHAPES)
def test_perfect_retrieval_and_a_gold_reader_have_no_error(thing):
    settings = dict(retrieval="perfect", relevant=relevant(thing))
    count = asked(f"How many {thing} are there?", Gold(), **settings)
    assert count_error(seen(count), truth(thing)) == 0
    most = asked(f"What is the largest number of {thing} in one picture?", Gold(), **settings)
    assert most.answered().text == str(max(truth(thing).values()))
    within = asked(f"How many pictures show {thing}?", Gold(), **settings)
    assert within.answered().text == str(sum(number > 0 for number in truth(thing).values()))


@builds
def test_empty_retrieval_has_count_error_one():
    made = asked("How many circles are there?", Gold(), retrieval="empty")
    assert made.answered().text == "0"
    assert count_error(seen(made), truth("circles")) == 1


@builds
def test_switches_add_what_they_say():
    """Damaging: the k irrelevant ones that look most relevant; noisy: others at random."""
    found = {}
    for how in ("perfect", "noisy", "damaging"):
        settings = dict(retrieval=how, relevant=relevant("crosses"), k=2)
        found[how] = set(seen(asked("How many crosses are there?", Gold(), **settings)))
    gold = set(dict(relevant("crosses"))["crosses"])
    assert found["perfect"] == gold
    assert found["damaging"] > gold and len(found["damaging"]) == len(gold) + 2
    # 300 at random of fewer are all of them.
    assert found["noisy"] == {f"scene-{number:02}" for number in range(len(scenes()))}


@builds
def test_pictures_are_cut_at_k():
    made = asked("How many circles are there?", Gold(), k=5)
    assert len(seen(made)) == 5
    assert [one.rank for one in made.of(Found)] == [1, 2, 3, 4, 5]


def test_captions_are_counted_without_a_model():
    for thing in SHAPES:
        assert asked(f"How many {thing} are there?").answered().text == str(
            sum(truth(thing).values())
        )


def test_which_pictures_and_which_pairs():
    circles, crosses = truth("circles"), truth("crosses")
    made = asked("Which pictures show at least two circles and no crosses?", Gold())
    expected = [unit for unit, number in circles.items() if number >= 2 and not crosses[unit]]
    paths = [one.path for one in gallery().units(expected)]
    assert made.answered().text.splitlines() == sorted(paths)
    pairs = asked("Which pictures of circles and of crosses are in the same folder?", Gold())
    assert len(pairs.answered().text.splitlines()) == sum(
        1
        for a in circles
        for b in crosses
        if a != b and circles[a] and crosses[b] and int(a[-2:]) % 2 == int(b[-2:]) % 2
    )


def test_the_answer_is_the_tables_not_the_readers():
    """A program step returns what the interpreter gives, whatever the model would have said."""
    plan = json.dumps({"do": "count", "thing": "circles"})

    def script(request):
        said = request["messages"][-1]["content"][0]["text"]
        return f"Sure: {plan}" if "plan" in said else "two"

    with serving(script) as stub:
        reader = Server.open(stub.address, retries=0)
        made = asked("Add up every circle that you can see", reader)
    assert made.answered().text == str(2 * len(scenes()))


def test_a_plan_can_be_given_and_nonsense_is_refused():
    made = asked('{"do": "max", "thing": "squares"}', Gold())
    assert made.answered().text == str(max(truth("squares").values()))
    with pytest.raises(Misuse, match="no sentence pattern fits"):
        asked("Who painted them?")
    with serving(lambda request: "I would rather not") as stub:
        reader = Server.open(stub.address, retries=0)
        with pytest.raises(Misuse, match="the plan is no JSON"):
            asked("Who painted them?", reader)
