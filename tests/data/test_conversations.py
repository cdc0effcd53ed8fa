"""LLaVA JSON and messages JSONL: what is read, and how a bad record is named."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.data.conversations import MARK, read_conversations
from chiasm.data.example import Example, Turn
from chiasm.errors import ChiasmError, Misuse


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    return tmp_path


def llava(*said: str, **entries) -> dict:
    who = ("human", "gpt")
    turns = [{"from": who[i % 2], "value": value} for i, value in enumerate(said)]
    return {"conversations": turns, **entries}


def messages(*said, **entries) -> dict:
    who = ("user", "assistant")
    turns = [{"role": who[i % 2], "content": value} for i, value in enumerate(said)]
    return {"messages": turns, **entries}


def read(folder: Path, *records, suffix: str = ".json") -> tuple[Example, ...]:
    path = folder / f"data{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(records))
    else:
        path.write_text("\n".join(json.dumps(record) for record in records))
    return read_conversations(path)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_both_forms_in_both_files(folder, suffix):
    records = (
        llava("<image>\nWhat?", "A cup.", "Colour?", "Red.", id="7", image="a.png"),
        messages("<image>What?", "A cup.", images=["a.png"]),
    )
    assert read(folder, *records, suffix=suffix) == (
        Example("7", (folder / "a.png",), (Turn("What?", "A cup."), Turn("Colour?", "Red."))),
        Example("1", (folder / "a.png",), (Turn("What?", "A cup."),)),
    )


@pytest.mark.parametrize("question", ["<image>\nWhat?", "What?\n<image>", "What?", "<image>What?"])
def test_a_single_image_stands_in_front(folder, question):
    (example,) = read(folder, llava(question, "A cup.", image="a.png"))
    assert example.turns == (Turn("What?", "A cup."),)


def test_several_images_stay_where_they_are(folder):
    record = llava(
        "First <image>\nthen <image>, same?", "No.", "And <image>?", "Yes.",
        image=["a.png", "b.png", "a.png"],
    )  # fmt: skip
    (example,) = read(folder, record)
    assert example.turns == (
        Turn("First then , same?", "No.", (6, 11)),
        Turn("And ?", "Yes.", (0,)),
    )
    assert [image.name for image in example.images] == ["a.png", "b.png", "a.png"]


def test_marks_in_front_are_the_usual_place(folder):
    (example,) = read(folder, llava("<image>\n<image>\nSame?", "No.", image=["a.png", "b.png"]))
    assert example.turns == (Turn("Same?", "No."),)


def test_content_parts_system_and_independence(folder):
    parts = [{"type": "image"}, {"type": "text", "text": "What?"}]
    record = {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": [{"type": "text", "text": "A cup."}]},
        ],
        "images": "a.png",
        "independent": True,
    }
    (example,) = read(folder, record)
    assert (example.system, example.independent) == ("Be short.", True)
    assert example.turns == (Turn("What?", "A cup."),)


def test_text_only_and_another_image_folder(folder):
    path = folder / "elsewhere" / "data.json"
    path.parent.mkdir()
    path.write_text(json.dumps([llava("Hi", "Hello"), llava("What?", "x", image="b.png")]))
    text, image = read_conversations(path, folder)
    assert (text.images, image.images) == ((), (folder / "b.png",))
    with pytest.raises(Misuse, match="no such image folder"):
        read_conversations(path, folder / "nowhere")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (llava("What?", "x", image="gone.png"), r"image .*gone\.png is missing"),
        (llava("What?", "x", image="http://h/a.png"), "only files are read"),
        (llava("What?", "x", image="data:image/png;base64,AA"), "only files are read"),
        (llava("What?", "x", image=3), "named by text, not 3"),
        (llava("What?", "x", image="nul\0"), "missing"),
        (llava("<image><image>?", "x", image="a.png"), "2 <image> .* but 1 images"),
        (llava("<image>?", "x"), "1 <image> .* but 0 images"),
        (llava("What?", "<image>", image="a.png"), "an answer holds <image>"),
        (llava("What?"), "holds user"),
        (llava(), "nothing"),
        (messages("a", "b", "c"), "holds user, assistant, user"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "holds tool"),
        ({"messages": [{"role": [], "content": "x"}]}, "must alternate"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\] lacks"),
        ({"conversations": "hello"}, "'conversations' is not a list"),
        (messages(None, "x"), r"messages\[0\] is not text"),
        (messages([{"type": "image_url"}], "x"), r"messages\[0\] is not text"),
        (messages("a", "b", videos=["v.mp4"]), "has 'videos'"),
        (messages("a", "b <image> c", "d", "e"), "an answer"),
        ({"id": "q"}, "neither 'conversations' nor 'messages'"),
        ("text", "is a str"),
        (
            llava("a", "b", "<image>?", "c", image="a.png", independent=True),
            "independent questions share",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_malformed_record_is_named(folder, record, words, suffix):
    if isinstance(record, dict):
        record = {"id": "seven", **record}
    with pytest.raises(ChiasmError, match=words) as caught:
        read(folder, llava("Hi", "Hello"), record, suffix=suffix)
    message = str(caught.value)
    assert f"data{suffix}: record 1" in message
    assert not isinstance(record, dict) or f"(id {record['id']!r})" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"id": 1}', "not a JSON list"),
        ("a.json", "", "not a JSON list"),
        ("a.json", '[{"id": 1}, {"id": ', "record [01]"),
        ("a.json", '[{"messages": []} {}]', "record 0"),
        ("a.jsonl", '{"messages": [\n', r"record 0 \(line 1\) is not JSON"),
        ("a.json", "[]", "holds no records"),
        ("a.json", b"\xff\xfe", "not UTF-8"),
        ("a.jsonl", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ChiasmError, match=words) as caught:
        read_conversations(path)
    assert name in str(caught.value)


@given(st.lists(st.text().filter(lambda text: MARK not in text and "<" not in text), max_size=5))
def test_places_put_the_marks_back(parts):
    from chiasm.data.conversations import _places

    text, places = _places(MARK.join(parts))
    assert len(places) == max(len(parts) - 1, 0)
    assert list(places) == sorted(places)
    assert all(0 <= place <= len(text) for place in places)
    assert MARK not in text


def test_many_rows_stay_small(tmp_path):
    path = tmp_path / "large.jsonl"
    row = json.dumps(messages("What is in this picture, please? " * 5, "A cup. " * 20))
    with path.open("w") as out:
        for _ in range(20_000):
            out.write(row + "\n")
    tracemalloc.start()
    examples = read_conversations(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(examples) == 20_000
    assert peak < 3 * path.stat().st_size
