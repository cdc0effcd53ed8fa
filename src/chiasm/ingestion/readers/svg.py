"""Drawings in SVG, drawn by resvg; what they refer to outside themselves is cut off first."""

import importlib.util
import io
import re
from typing import Any

from chiasm.data.media import read_image
from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion.pictures import SIDE
from chiasm.ingestion.readers.images import unit_of
from chiasm.ingestion.reading import File, Options, Reader, Reading
from chiasm.retrieval.unit import Span

VERSION = "svg 1"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
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

    if importlib.util.find_spec("resvg_py") is None:
        raise Misuse("SVG needs resvg-py, which is not installed: pip install 'chiasm[media]'")
    import resvg_py

    into = io.BytesIO()
    etree.ElementTree(tree).write(into, encoding="utf-8")
    try:
        # A size of our own, whatever the drawing asks for.
        tall = _tall(tree)
        drawn = resvg_py.svg_to_bytes(
            svg_string=into.getvalue().decode(),
            background="#ffffff",
            width=None if tall else SIDE,
            height=SIDE if tall else None,
        )
    except ValueError as error:
        raise ChiasmError(f"cannot be drawn ({error})") from None
    return bytes(drawn)


def _tall(tree: Any) -> bool:
    """Whether the drawing is higher than it is wide, as far as it says."""
    box = _NUMBER.findall(tree.get("viewBox", ""))
    if len(box) == 4:
        return float(box[3]) > float(box[2])
    size = [_NUMBER.match(tree.get(name, "").strip()) for name in ("width", "height")]
    return all(size) and float(size[1][0]) > float(size[0][0])  # pyright: ignore


SVG = Reader(version=VERSION, read=read)
