"""Drawings in SVG, drawn by resvg; what they refer to outside themselves is cut off first."""

import io
from typing import Any

from chiasm.data.media import read_image
from chiasm.data.svg import rendered
from chiasm.errors import ChiasmError
from chiasm.ingestion.pictures import SIDE
from chiasm.ingestion.readers.images import unit_of
from chiasm.ingestion.reading import File, Options, Reader, Reading
from chiasm.retrieval.unit import Span

VERSION = "svg 2"
_REFERS = ("href", "{http://www.w3.org/1999/xlink}href")
_DROPPED = {"script", "foreignObject", "style"}


def read(file: File, options: Options) -> Reading:
    """One unit: the drawing on white, and the words of its text elements."""
    tree = _parsed(file.place.read_bytes())
    cut = _closed(tree)
    words = tuple(Span(text=text) for text in _words(tree))
    image = read_image(_drawn(tree))
    notes = (f"references to other files, not followed: {cut}",) if cut else ()
    return Reading(
        units=(unit_of(file, image, format="svg", words=words, version=VERSION),), notes=notes
    )


def _parsed(data: bytes) -> Any:
    import lxml.etree as etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        tree = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ChiasmError(f"is no whole SVG ({error.msg}); save or download it again") from None
    if etree.QName(tree).localname != "svg":
        raise ChiasmError(f"begins with <{etree.QName(tree).localname}>, not <svg>")
    return tree


def _closed(tree: Any) -> int:
    """Take out scripts and every reference that leaves the drawing; how many those were."""
    import lxml.etree as etree

    cut = 0
    for node in list(tree.iter()):
        if not isinstance(node.tag, str):
            # A comment, an instruction or an entity, which could bring anything in.
            parent = node.getparent()
            if parent is not None:
                parent.remove(node)
            continue
        if etree.QName(node).localname in _DROPPED and node.getparent() is not None:
            if etree.QName(node).localname != "style" or "url(" in (node.text or ""):
                node.getparent().remove(node)
            continue
        for name in _REFERS:
            target = node.get(name, "#").strip()
            if not target.startswith(("#", "data:image/")) or target.startswith("data:image/svg"):
                del node.attrib[name]
                cut += 1
    return cut


def _words(tree: Any) -> list[str]:
    found = (" ".join("".join(node.itertext()).split()) for node in tree.iter("{*}text"))
    return [text for text in found if text]


def _drawn(tree: Any) -> bytes:
    import lxml.etree as etree

    into = io.BytesIO()
    etree.ElementTree(tree).write(into, encoding="utf-8")
    try:
        return rendered(into.getvalue().decode(), tree.get, SIDE)
    except ValueError as error:
        raise ChiasmError(f"cannot be drawn ({error})") from None


SVG = Reader(version=VERSION, read=read)
