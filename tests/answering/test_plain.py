"""The plain pipeline over real vectors: answers, refusals, citations, replay."""

import json
from dataclasses import replace

import pytest
from tests.answering.files import HOSTILE, documents, household, tools
from tests.answering.memory import Memory, section

from chiasm.answering.citations import bare
from chiasm.answering.desk import Question
from chiasm.answering.pipeline import answer, pipeline, pipelines, replay
from chiasm.answering.records import Call, Cost, Evidence, Observation
from chiasm.answering.trace import Trace
from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.where import Compare

PLAIN = pipeline("plain", k=5)


@pytest.fixture(scope="module")
def trace():
    return answer(PLAIN, Question(text="Which filter does the compressor use?"), tools(household()))


def test_questions_are_answered_and_cited():
    library = household()
    right = 0
    asked = [(one, *one["questions"][0]) for one in documents()[::2]]
    for one, question, expected in asked:
        answered = answer(PLAIN, Question(text=question), tools(library)).answered()
        for citation in answered.citations:
            assert citation.supported and bare(citation.quote) in bare(one["text"])
            assert citation.path == one["path"] and citation.page and citation.box
        right += expected in answered.text
    assert right >= len(asked) - 1


def test_what_the_files_do_not_hold_is_refused():
    library = household()
    for question in ("Who was the first president of France?", "How tall is Mount Everest?"):
        answered = answer(PLAIN, Question(text=question), tools(library)).answered()
        assert answered.text == "Not in your files." and answered.citations == ()


def test_an_empty_library_is_refused_without_asking_the_reader():
    made = answer(PLAIN, Question(text="Who built the lathe?"), tools(Memory([])))
    assert made.answered().text == "Not in your files."
    assert {call.tool for call in made.of(Call)} == {"search"}


def test_a_filter_limits_what_is_read():
    limit = Compare("path", "~", "kitchen/")
    made = answer(PLAIN, Question(text="Who built the lathe?", where=limit), tools(household()))
    assert {one.path.split("/")[0] for one in made.evidence()} == {"kitchen"}
    assert made.answered().text == "Not in your files."
    assert replay(made).answered() == made.answered()


def test_a_document_cannot_make_the_reader_do_anything():
    library = Memory([section("evil.md", HOSTILE), section("cat.md", "The cat sleeps")])
    made = answer(PLAIN, Question(text="What colour is the pump painted?"), tools(library))
    assert made.answered().text == "The pump is painted blue. [1]"
    assert made.answered().citations[0].path == "evil.md"


def test_a_replay_is_the_trace_byte_for_byte(trace, tmp_path):
    trace.save(tmp_path / "trace.jsonl")
    again = replay(Trace.open(tmp_path / "trace.jsonl"))
    again.save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "trace.jsonl").read_bytes()


def test_costs_are_told_of_every_call(trace):
    assert len(trace.of(Cost)) == len(trace.of(Call)) == len(trace.of(Observation)) > 3
    assert sum(cost.seconds for cost in trace.of(Cost)) > 0


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (dict(k=7), r"step 'retrieve' differs at call 1: search k is 7, and 5 in the trace"),
        (dict(k=5, passages=2), r"step 'answer' differs at call 4: reader prompt is"),
    ],
)
def test_a_replay_by_another_pipeline_names_the_step(trace, other, named):
    with pytest.raises(ChiasmError, match=named):
        replay(trace, pipeline("plain", **other))


def changed(trace: Trace, kind: type, make) -> Trace:
    """The trace with the last record of a kind replaced."""
    records = list(trace.records)
    place = max(place for place, one in enumerate(records) if isinstance(one, kind))
    records[place] = make(records[place])
    return Trace(records)


def test_a_changed_trace_is_refused_where_it_was_changed(trace):
    lied = changed(trace, Evidence, lambda one: replace(one, quote="The filter is a toaster."))
    with pytest.raises(ChiasmError, match="step 'choose evidence' differs: line"):
        replay(lied)
    said = changed(trace, Observation, lambda one: replace(one, value="It is a toaster."))
    with pytest.raises(ChiasmError, match="step 'answer' differs: line"):
        replay(said)
    key = changed(trace, Call, lambda one: replace(one, arguments={**one.arguments, "x": 1}))
    with pytest.raises(ChiasmError, match="step 'answer' differs at call 4"):
        replay(key)


def test_a_trace_that_was_cut_short_is_refused(trace):
    for length in range(2, len(trace)):
        with pytest.raises(ChiasmError):
            replay(Trace(trace.records[:length]))


def test_a_trace_with_more_calls_is_refused(trace):
    call = trace.of(Call)[-1]
    extra = Trace([*trace.records, call, Observation(value=""), Cost(seconds=0.0)])
    with pytest.raises(ChiasmError, match="the replay ended before"):
        replay(extra)


def test_settings_are_plain_json():
    for name in pipelines():
        made = pipeline(name)
        assert made.name == name and hash(made) == hash(pipeline(name)) and made.k > 0
        assert made.steps()
    assert json.loads(json.dumps({"k": PLAIN.k})) == {"k": 5}


def test_nonsense_is_refused():
    with pytest.raises(Misuse, match="unknown pipeline 'plane'; did you mean plain"):
        pipeline("plane")
    with pytest.raises(Misuse, match="plain has no setting 'depth'; it has k, passages, pictures"):
        pipeline("plain", depth=3)
    for wrong in (-1, "five", 2.5, True, None):
        with pytest.raises(Misuse, match="plain: k cannot be"):
            pipeline("plain", k=wrong)
    with pytest.raises(Misuse, match="mrag: 'smell' is not a valid By"):
        pipeline("mrag", by="smell")
    with pytest.raises(Misuse, match="question is empty"):
        answer(PLAIN, Question(text="  "), tools(Memory([])))
    with pytest.raises(Misuse, match="k is 0"):
        answer(pipeline("plain", k=0), Question(text="a"), tools(Memory([])))
