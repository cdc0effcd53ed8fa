"""Slides one by one and documents by heading: the words and pictures of their XML."""

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

from chiasm.data.media import read_image
from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion.document import Block, Figure, units_of
from chiasm.ingestion.packed import Packed, unpacked
from chiasm.ingestion.pictures import stored
from chiasm.ingestion.reading import File, Limits, Options, Reader, Reading
from chiasm.retrieval.unit import Kind, Span, Unit

SLIDES_VERSION, WORDS_VERSION = "slides 1", "words 1"
_EMBED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}embed"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STYLE = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}val"
_HEADING = re.compile(r"heading\s*([1-6])", re.IGNORECASE)


def read_slides(file: File, options: Options) -> Reading:
    """A `PAGE` a slide, with its words and its first picture: layout is not drawn."""
    _needs_lxml()
    units, notes = [], []
    with unpacked(file.place, options.limits.unpacked) as packed:
        order = packed.relations("ppt/presentation.xml")
        listed = packed.tree("ppt/presentation.xml").iter("{*}sldId")
        slides = [order[node.get(_ID)] for node in listed if node.get(_ID) in order]
        for number, name in enumerate(slides[: options.limits.pages], start=1):
            tree = packed.tree(name)
            lines = list(filter(None, map(_words, tree.iter("{*}p"))))
            targets = packed.relations(name)
            images = list(_images(packed, targets, tree, options.limits, notes))
            if not lines and not images:
                continue
            units.append(
                Unit(
                    id=file.unit_id(f"slide {number}", SLIDES_VERSION),
                    path=file.path,
                    file=file.sha256,
                    kind=Kind.PAGE,
                    title=lines[0][:200] if lines else file.title,
                    text="\n".join(lines),
                    spans=tuple(Span(text=line) for line in lines),
                    page=number,
                    picture=stored(images[0]) if images else None,
                    metadata={"format": "pptx", "pages": len(slides)},
                )
            )
    if len(slides) > options.limits.pages:
        notes.append(f"has {len(slides):,} slides; the first {options.limits.pages:,} are read")
    return Reading(units=tuple(units), notes=tuple(notes) if units else (*notes, "has no words"))


def read_words(file: File, options: Options) -> Reading:
    """Sections by heading, with the pictures that stand among their words."""
    _needs_lxml()
    notes: list[str] = []
    with unpacked(file.place, options.limits.unpacked) as packed:
        name = "word/document.xml"
        found = list(_blocks(packed, name, packed.tree(name), options.limits, notes))
    units = units_of(file, file.title, found, format="docx", version=WORDS_VERSION)
    return Reading(units=units, notes=tuple(notes) if units else (*notes, "has no words"))


def _blocks(
    packed: Packed, name: str, tree: Any, limits: Limits, notes: list[str]
) -> Iterator[Block]:
    targets = packed.relations(name)
    for paragraph in tree.iter("{*}p"):
        style = next(iter(paragraph.iter("{*}pStyle")), None)
        heading = _HEADING.match(style.get(_STYLE, "") if style is not None else "")
        if text := _words(paragraph):
            yield Block(text=text, level=int(heading[1]) if heading else 0)
        for image in _images(packed, targets, paragraph, limits, notes):
            yield Block(figure=Figure(image=image))


def _images(
    packed: Packed, targets: dict[str, str], tree: Any, limits: Limits, notes: list[str]
) -> Iterator[Any]:
    for node in tree.iter("{*}blip"):
        target = targets.get(node.get(_EMBED, ""))
        if target is None or target not in packed:
            continue
        try:
            yield read_image(packed.data(target), max_pixels=limits.pixels)
        except ChiasmError as error:
            notes.append(f"its picture {target}: {str(error).removeprefix('image bytes: ')}")


def _words(paragraph: Any) -> str:
    """The runs of a paragraph, tabs and line ends as blanks."""
    parts = []
    for node in paragraph.iter("{*}t", "{*}tab", "{*}br"):
        parts.append(node.text or "" if node.tag.endswith("}t") else " ")
    return " ".join("".join(parts).split())


def _needs_lxml() -> None:
    if importlib.util.find_spec("lxml") is None:
        raise Misuse("slides and documents need lxml: pip install 'chiasm[media]'")


SLIDES = Reader(version=SLIDES_VERSION, read=read_slides)
WORDS = Reader(version=WORDS_VERSION, read=read_words)
