"""Slides and documents: the words and pictures of their XML, under a cap."""

import io
import zipfile
from dataclasses import replace

import pytest
from PIL import Image

from chiasm.ingestion import Limits, read
from chiasm.retrieval.unit import Kind

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"


def packed(parts):
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return into.getvalue()


def relations(**targets):
    listed = "".join(f'<Relationship Id="{one}" Target="{to}"/>' for one, to in targets.items())
    return f'<Relationships xmlns="{RELS}">{listed}</Relationships>'


def slide(*lines, picture=""):
    shown = f'<a:blip r:embed="{picture}"/>' if picture else ""
    words = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return f'<p:sld xmlns:p="{P}" xmlns:a="{A}" xmlns:r="{R}">{words}{shown}</p:sld>'


def png(colour="red"):
    into = io.BytesIO()
    Image.new("RGB", (61, 43), colour).save(into, "PNG")
    return into.getvalue()


def show(**changed):
    parts = {
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{P}" xmlns:r="{R}"><p:sldIdLst>'
        '<p:sldId r:id="r2"/><p:sldId r:id="r1"/></p:sldIdLst></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(
            r1="slides/slide1.xml", r2="slides/slide2.xml"
        ),
        "ppt/slides/slide1.xml": slide("Second", "of two"),
        "ppt/slides/slide2.xml": slide("First", picture="r9"),
        "ppt/slides/_rels/slide2.xml.rels": relations(r9="../media/image1.png"),
        "ppt/media/image1.png": png(),
    }
    return packed({**parts, **changed})


def test_slides_in_the_order_they_are_shown(units):
    first, second = units("talk.pptx", show())
    assert (first.kind, first.page, first.text) == (Kind.PAGE, 1, "First")
    assert (second.page, second.title, second.text) == (2, "Second", "Second\nof two")
    assert first.picture is not None and second.picture is None


def test_a_document_by_heading_with_its_pictures(units):
    def paragraph(text, style="", picture=""):
        styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        shown = f'<w:drawing><a:blip r:embed="{picture}"/></w:drawing>' if picture else ""
        return f"<w:p>{styled}<w:r><w:t>{text}</w:t>{shown}</w:r></w:p>"

    body = (
        paragraph("Pumps", "Heading1")
        + paragraph("How they turn.", picture="r1")
        + paragraph("Valves", "Heading2")
        + paragraph("How they close.")
    )
    parts = {
        "word/document.xml": f'<w:document xmlns:w="{W}" xmlns:a="{A}" xmlns:r="{R}">{body}'
        "</w:document>",
        "word/_rels/document.xml.rels": relations(r1="media/image1.png"),
        "word/media/image1.png": png(),
    }
    pumps, figure, valves = units("manual.docx", packed(parts))
    assert (pumps.title, valves.title) == ("manual › Pumps", "manual › Pumps › Valves")
    assert pumps.text.startswith("How they turn.") and valves.text == "How they close."
    assert figure.kind is Kind.FIGURE and pumps.metadata["figures"] == figure.id


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (show(**{"ppt/slides/slide1.xml": b"0" * 2_000_000}), "unpacks to more than 1,000,000"),
        (show(**{"ppt/slides/slide1.xml": "<p:sld"}), "has a damaged part"),
        (show()[:-60], "cannot be unpacked"),
        (packed({"x": "y"}), "lacks its part ppt/presentation.xml"),
    ],
)
def test_what_cannot_be_read_says_why(made, plainly, data, reason):
    options = replace(plainly, limits=Limits(unpacked=1_000_000))
    reading = read(made("talk.pptx", data), options)
    assert not reading.units and reading.notes[0].startswith(reason), reading.notes


def test_entities_bring_nothing_in(made, plainly, tmp_path):
    (tmp_path / "secret").write_text("secret")
    many = "".join(f'<!ENTITY e{n + 1} "&e{n};&e{n};&e{n};&e{n};&e{n};">' for n in range(12))
    evil = (
        f'<!DOCTYPE x [<!ENTITY s SYSTEM "file://{tmp_path}/secret"><!ENTITY e0 "lol">{many}]>'
        + slide("&s;", "words &e12;")
    )
    reading = read(made("talk.pptx", show(**{"ppt/slides/slide1.xml": evil})), plainly)
    told = " ".join(unit.text for unit in reading.units) + " ".join(reading.notes)
    assert "secret" not in told and "lollol" not in told
