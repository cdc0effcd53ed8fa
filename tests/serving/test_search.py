"""Search, units and answers over a real library, held against the library itself."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serving.conftest import COLOURS, complaint, png, served, uri

from chiasm.data.media import read_image
from chiasm.library.library import Library
from chiasm.retrieval import Item
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.unit import Kind, Unit
from chiasm.retrieval.where import parse
from chiasm.serving.marking import COLOUR, marked
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings
from chiasm.serving.viewing import clock


@pytest.fixture(scope="module")
def held(library):
    """The same library, opened apart from the server."""
    with Library.open(library) as found:
        yield found


def found(plain, **asked) -> list[dict]:
    answer = plain.post("/search", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["hits"]


def ids(hits) -> list[str]:
    return [hit["id"] if isinstance(hit, dict) else hit.unit.id for hit in hits]


def test_words(plain, held):
    hits = found(plain, text="red car", k=3)
    expected = held.search(Query(parts=(Part(item=Item(text="red car")),), k=3))
    assert ids(hits) == ids(expected)
    assert [hit["score"] for hit in hits] == pytest.approx([hit.score for hit in expected])


def test_a_composed_query(plain, held):
    picture = png(COLOURS["blue"])
    [liked] = [hit for hit in found(plain, text="red", k=9) if hit["path"] == "red.png"]
    hits = found(
        plain,
        text="car",
        image=uri(picture),
        minus="red",
        like=[liked["id"]],
        weights={"image": 0.7, "minus": 0.3, "like": 0.2},
        where="type=image or type=section",
        k=5,
    )
    query = Query(
        parts=(
            Part(item=Item(text="car")),
            Part(item=Item(image=read_image(picture)), weight=0.7),
            Part(item=Item(text="red"), weight=-0.3),
        ),
        like=((liked["id"], 0.2),),
        where=parse("type=image or type=section"),
        k=5,
    )
    assert ids(hits) == ids(held.search(query)) and liked["id"] not in ids(hits)


def test_a_filter(plain):
    hits = found(plain, text="car", where="type=image")
    assert {hit["path"] for hit in hits} == {f"{name}.png" for name in COLOURS}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"text": "  "},
        {"minus": "red"},
        {"text": "a", "weights": {"text": 0}},
        {"text": "a", "weights": {"text": -1}},
        {"text": "a", "where": "type="},
        {"text": "a", "where": "(" * 9000},
        {"text": "a", "k": 0},
        {"text": "a", "like": ["nowhere"]},
        {"text": "a", "image": "http://example.com/x.png"},
        {"text": "a", "minus": "a"},
        {"text": "a", "limit": 3},
    ],
)
def test_what_cannot_be_meant_is_refused(plain, asked):
    answer = plain.post("/search", json=asked)
    assert answer.status_code in (400, 422)
    complaint(answer)


def test_a_unit_and_its_picture(plain):
    [hit] = [one for one in found(plain, text="red", k=9) if one["path"] == "red.png"]
    assert plain.get(f"/units/{hit['id']}").json()["path"] == "red.png"
    for address, size in ((hit["picture"], (67, 53)), (f"{hit['picture']}?small=true", (67, 53))):
        image = Image.open(io.BytesIO(plain.get(address).content))
        assert image.format == "PNG" and image.size == size
    marked_ = plain.get(hit["picture"], params={"box": ["0.1,0.2,0.9,0.8"]}).content
    assert marked_ != plain.get(hit["picture"]).content
    shown = plain.get(hit["view"])
    assert hit["picture"] in shown.text and "script" not in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/units/nowhere",
        "/units/nowhere/picture",
        "/units/nowhere/view",
        "/units/..%2F..%2Fetc%2Fpasswd/media",
        "/units/{red}/media",
        "/units/{red}/picture?box=1,2",
        "/units/{red}/picture?box=0.9,0,0.1,1",
        "/units/{red}/picture?box=nan,0,1,1",
        "/units/{red}/view?at=-1",
        "/units/{red}/view?at=inf",
    ],
)
def test_what_is_not_there_is_refused(plain, path):
    [red] = [one["id"] for one in found(plain, text="red", k=9) if one["path"] == "red.png"]
    answer = plain.get(path.replace("{red}", red))
    assert answer.status_code in (400, 404, 422)
    complaint(answer)


def test_boxes_are_drawn_where_they_are():
    buffer = io.BytesIO()
    Image.new("RGB", (101, 61), "white").save(buffer, format="PNG")
    unit = Unit(id="a", path="a", file="", kind=Kind.PAGE, picture=buffer.getvalue())
    drawn = np.array(Image.open(io.BytesIO(marked(unit, [(0.1, 0.2, 0.5, 0.7)]))))
    touched = (drawn != 255).any(-1)
    rows, columns = np.nonzero(touched)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 12, 50, 42)
    assert tuple(drawn[12, 30]) == COLOUR and tuple(drawn[27, 30]) != COLOUR
    assert not (np.array(Image.open(io.BytesIO(marked(unit)))) != 255).any()


class Shelf:
    """A library of hand-made units."""

    def __init__(self, *held: Unit) -> None:
        self.held = {unit.id: unit for unit in held}

    def search(self, query):
        raise AssertionError("nothing is searched here")

    def units(self, wanted):
        return [self.held[one] for one in wanted if one in self.held]

    def count(self, where=None):
        return len(self.held)


def test_sound_is_played_from_its_second_and_nothing_else_leaves_the_folder(services, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "talk.mp3").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "secret.mp3").write_bytes(b"secret")
    (tmp_path / "in" / "link.mp3").symlink_to(tmp_path / "secret.mp3")
    made = {
        name: Unit(id=name, path=path, file="", kind=kind, text="<script>x</script>", start=61.5)
        for name, path, kind in (
            ("talk", "talk.mp3", Kind.AUDIO),
            ("up", "../secret.mp3", Kind.AUDIO),
            ("link", "link.mp3", Kind.AUDIO),
            ("gone", "gone.mp3", Kind.AUDIO),
            ("page", "talk.mp3", Kind.PAGE),
        )
    }
    served_ = Services.start(
        Settings(), embeds=services.embeds, library=Shelf(*made.values()), folder=tmp_path / "in"
    )
    with served(served_) as address:
        part = httpx.get(f"{address}/units/talk/media", headers={"range": "bytes=3-6"})
        assert (part.status_code, part.content) == (206, b"\x03\x04\x05\x06")
        assert part.headers["content-type"] == "audio/mpeg"
        for name in ("up", "link", "gone", "page"):
            answer = httpx.get(f"{address}/units/{name}/media")
            assert answer.status_code == 404 and "secret" not in answer.text.partition("is no")[2]
        page = httpx.get(f"{address}/units/talk/view?at=75").text
        assert "/units/talk/media#t=75" in page and "1:15" in page
        assert "&lt;script&gt;" in page and "<script" not in page


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0:00"), (61.9, "1:01"), (3600, "1:00:00"), (3723, "1:02:03")]
)
def test_times_are_told_as_clocks_do(seconds, told):
    assert clock(seconds) == told


def test_an_answer_names_what_it_rests_on(plain):
    asked = {
        "question": "The red car has 3 wheels.",
        "reader": "extractive",
        "where": "path=red.md",
    }
    told = plain.post("/answer", json=asked).json()
    assert told["answer"] == "The red car has 3 wheels. [1]"
    [cited] = told["citations"]
    assert cited["path"] == "red.md" and cited["supported"] and "3 wheels" in cited["quote"]
    assert plain.get(cited["view"]).status_code == 200


def test_the_model_answers_where_one_is_served(plain):
    told = plain.post("/answer", json={"question": "what color?", "k": 1})
    # The tiny context is shorter than any prompt with evidence.
    assert told.status_code == 400 and "context of 211" in complaint(told)


@pytest.mark.parametrize(
    "asked",
    [
        {"question": " "},
        {"question": ""},
        {"question": "a", "where": "x"},
        {"question": "a", "k": 1000},
        {"question": "a", "images": ["file:///etc/passwd"]},
        {"question": "a", "stream": True},
    ],
)
def test_questions_that_are_refused(plain, asked):
    answer = plain.post("/answer", json=asked)
    assert answer.status_code in (400, 422)
    complaint(answer)
