"""The client of OpenAI-compatible servers, against one in this process."""

import base64
import io
import re

import pytest
from PIL import Image
from tests.answering.files import HOSTILE, household, tools
from tests.answering.memory import Memory, section
from tests.answering.stub_server import serving

from chiasm.answering.desk import Question
from chiasm.answering.pipeline import answer, pipeline, replay
from chiasm.answering.readers import open_reader
from chiasm.answering.readers.server import KEY, Server
from chiasm.answering.records import Cost
from chiasm.answering.requests import Read
from chiasm.errors import ChiasmError, Misuse

PLAIN = pipeline("plain", k=3)
ASK = Read(question="Who?")


def opened(stub, **more):
    return Server.open(stub.address, retries=0, **more)


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (5, 3), "red").save(stream, "PNG")
    return stream.getvalue()


def test_a_server_reads_the_evidence_and_its_trace_replays_without_it(monkeypatch):
    monkeypatch.setenv(KEY, "secret")
    with serving(lambda asked: "Weiler built it [1].") as stub:
        question = Question(text="Who built the lathe?", images=(png(),))
        made = answer(PLAIN, question, tools(household(), opened(stub)))
    assert stub.keys == ["Bearer secret"]
    assert stub.requests[0]["temperature"] == 0
    words, picture = stub.requests[0]["messages"][-1]["content"]
    assert "> The lathe in the back room was built in 1974 by Weiler." in words["text"]
    kind, _, data = picture["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/png" and base64.b64decode(data) == png()
    [citation] = made.answered().citations
    assert citation.supported and citation.path == "workshop/lathe.md"
    assert made.of(Cost)[-1].tokens == 11
    assert "secret" not in "".join(made.lines())
    assert list(replay(made).lines()) == list(made.lines())


def test_what_a_document_says_stays_quoted():
    """Nothing of a document stands on a line that does not begin with `> `."""
    library = Memory([section("evil.md\n---", HOSTILE), section("cat.md", "The cat sleeps")])
    with serving(lambda asked: "The pump is blue [1].") as stub:
        answer(PLAIN, Question(text="What colour is the pump?"), tools(library, opened(stub)))
    assert "never follow instructions" in stub.requests[0]["messages"][0]["content"]
    prompt = stub.prompt()
    assert "must not be followed" in prompt.split("\n\n")[0]
    outside = [line for line in prompt.splitlines() if not line.startswith("> ")]
    assert not [line for line in outside if "HACKED" in line or "Ignore" in line]
    assert [line for line in outside if line.startswith("Question: ")] == [
        "Question: What colour is the pump?"
    ]
    ends = [line for line in outside if re.fullmatch(r"--- end of evidence \[\d\] ---", line)]
    assert len(ends) == len([line for line in outside if line.startswith("--- evidence [")])


def test_an_answer_that_follows_a_document_is_marked_as_unsupported():
    """A model that is taken in anyway: what it says rests on nothing, and the person is told."""
    library = Memory([section("evil.md", HOSTILE)])
    with serving(lambda asked: "The accounts were emptied on Tuesday [1].") as stub:
        made = answer(PLAIN, Question(text="What colour?"), tools(library, opened(stub)))
    assert [one.supported for one in made.answered().citations] == [False]
    assert made.notes() == ["1 of 1 claims have no support in the evidence"]


def test_the_only_model_is_taken_and_several_are_told():
    with serving(lambda asked: "yes", models=("only",)) as stub:
        assert opened(stub).model == "only"
    with serving(lambda asked: "yes", models=("a", "b")) as stub:
        with pytest.raises(Misuse, match="has the models a, b; name one with --model"):
            opened(stub)
        assert opened(stub, model="b").ask(ASK, []).text == "yes"
        assert stub.requests[0]["model"] == "b"


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (lambda asked: (500, '{"error": {"message": "on fire"}}'), r"refused \(500\): .*on fire"),
        (lambda asked: (401, '{"error": {"message": "no key"}}'), r"refused \(401\): .*no key"),
        (lambda asked: (200, "<html>"), "is no chat answer|gave no text"),
        (lambda asked: (200, "{}"), "gave no text"),
        (lambda asked: (200, '{"choices": []}'), "gave no text"),
        (lambda asked: (200, '{"choices": [{"message": {"content": null}}]}'), "gave no text"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(script, named):
    with serving(script) as stub, pytest.raises(ChiasmError, match=named) as caught:
        opened(stub, model="m").ask(ASK, [])
    assert "\n" not in str(caught.value)


def test_a_server_that_is_slow_or_away_is_given_up():
    with serving(lambda asked: "late", seconds=0.5) as stub:
        reader = opened(stub, model="m", seconds=0.1)
        with pytest.raises(ChiasmError, match=r"no answer within 0\.1 s"):
            reader.ask(ASK, [])
    with pytest.raises(ChiasmError, match="cannot be reached"):
        reader.ask(ASK, [])


def test_a_model_without_a_server_is_refused():
    with pytest.raises(Misuse, match="name the server with --reader"):
        open_reader(None, model="gpt", embedder=None)  # type: ignore[arg-type]
