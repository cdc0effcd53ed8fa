"""Traces: every record survives its file; a file that was cut or changed is refused by line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.answering import records
from chiasm.answering.records import as_json, from_json
from chiasm.answering.trace import Trace
from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.unit import Span

text = st.text(max_size=13)
number = st.floats(allow_nan=False, allow_infinity=False)
box = st.none() | st.tuples(number, number, number, number)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=7,
)
spans = st.builds(Span, text=text, box=box, start=st.none() | number, end=st.none() | number)
citation = st.builds(
    records.Citation,
    sentence=text,
    supported=st.booleans(),
    number=st.none() | st.integers(),
    unit=st.none() | text,
    path=st.none() | text,
    page=st.none() | st.integers(),
    box=box,
    start=st.none() | number,
    end=st.none() | number,
    quote=text,
)
every_record = st.one_of(
    st.builds(
        records.Began,
        pipeline=text,
        settings=st.dictionaries(text, json_values, max_size=3),
        reader=text,
    ),
    st.builds(records.Asked, text=text, images=st.lists(text).map(tuple), where=text),
    st.builds(records.Media, id=text, sha256=text),
    st.builds(records.Stage, name=text, count=st.integers()),
    st.builds(records.Found, id=text, score=number, rank=st.integers(), stage=text),
    st.builds(
        records.Evidence,
        unit=text,
        path=text,
        title=text,
        page=st.none() | st.integers(),
        box=box,
        start=st.none() | number,
        end=st.none() | number,
        quote=text,
        spans=st.lists(spans, max_size=3).map(tuple),
        picture=st.none() | text,
    ),
    st.builds(records.Call, step=text, tool=text, arguments=json_values),
    st.builds(records.Observation, value=json_values),
    st.builds(records.Cost, seconds=number, tokens=st.integers()),
    st.builds(records.Note, text=text),
    st.builds(records.Answered, text=text, citations=st.lists(citation, max_size=3).map(tuple)),
)


@given(every_record)
def test_a_record_is_what_its_json_says(record):
    assert from_json(json.loads(json.dumps(as_json(record)))) == record


BEGAN = records.Began(pipeline="plain", settings={"k": 5}, reader="nobody")


def test_a_file_holds_the_whole_trace(tmp_path):
    trace = Trace([BEGAN, records.Asked(text="wie groß?\u2028"), records.Note(text="so")])
    trace.save(tmp_path / "deep" / "trace.jsonl")
    again = Trace.open(tmp_path / "deep" / "trace.jsonl")
    assert again.records == trace.records
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["trace.jsonl"]


def test_nothing_can_be_taken_out_of_a_trace():
    trace = Trace([BEGAN])
    before = trace.records
    trace.append(records.Note(text="later"))
    assert trace.records[: len(before)] == before
    assert not hasattr(trace, "remove")
    with pytest.raises(AttributeError):
        trace.records = ()  # type: ignore[misc]


def test_later_stages_take_the_place_of_earlier_ones():
    def stage(name: str, *ids: str) -> list:
        found = [
            records.Found(id=one, score=1.0, rank=rank, stage=name)
            for rank, one in enumerate(ids, 1)
        ]
        return [records.Stage(name=name, count=len(ids)), *found]

    evidence = records.Evidence(unit="a", path="a")
    trace = Trace([BEGAN, *stage("first", "a", "b"), evidence])
    assert [one.id for one in trace.found()] == ["a", "b"]
    assert trace.evidence() == [evidence]
    for record in stage("second"):
        trace.append(record)
    assert trace.found() == [] and trace.evidence() == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"record": "note", "text"', "line 2: no JSON"),
        ('{"record": "dream"}', "line 2: 'dream' is no record"),
        ("[]", "line 2: 'list' is no record"),
        ('{"record": "note"}', "line 2: note has other fields: text"),
        ('{"record": "note", "text": 5}', "line 2: note: field 'text' is int"),
        ('{"record": "stage", "name": "x", "count": true}', "field 'count' is bool"),
        (
            '{"record": "answered", "text": "", "citations": [{"sentence": "a"}]}',
            "citation has other",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, named):
    path = tmp_path / "trace.jsonl"
    Trace([BEGAN]).save(path)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ChiasmError, match=named):
        Trace.open(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"record": "note", "text": ""}\n'])
def test_a_file_that_is_no_trace_is_refused(tmp_path, content):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    with pytest.raises(ChiasmError, match="no trace"):
        Trace.open(path)
    with pytest.raises(Misuse, match="no such trace"):
        Trace.open(tmp_path / "other.jsonl")
