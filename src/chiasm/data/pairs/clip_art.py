"""Open Clip Art: drawings that people gave titles and keywords."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from chiasm import weights
from chiasm.data.pairs.pair import Pair
from chiasm.data.pairs.vector import MAX_BYTES, VectorDrawing

PACKAGE = "clip-art"
MOST_OF_A_TITLE = 10

_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_WORK = "{http://web.resource.org/cc/}Work"
_METADATA = re.compile(rb"<(?:svg:)?metadata\b.*?</(?:svg:)?metadata>", re.DOTALL)
_DECLARED = re.compile(rb'xmlns:(\w+)="([^"]+)"')
_LEFT_OUT = ("shapes/stars", "signs_and_symbols/flags", "special/theme")
_NO_KEYWORD = {"hash", "magick", "unsorted", "clip_art", "clipart", "geometry"}


@cache
def pairs() -> tuple[Pair, ...]:
    """Drawings with a title of words; drawings of one title are one concept.

    Left out: 1,378 generated stars, icons of desktop themes, flags, which other sets hold too, and
    titles of more than 10 drawings, which name a collection (ALIGN's filter, arXiv 2102.05918).
    """
    root = weights.path(PACKAGE)
    found = [pair for path in sorted(root.rglob("*.svg")) if (pair := _pair(path, root))]
    times = Counter(pair.concept for pair in found)
    return tuple(pair for pair in found if times[pair.concept] <= MOST_OF_A_TITLE)


def _pair(path: Path, root: Path) -> Pair | None:
    name = path.relative_to(root).with_suffix("").as_posix()
    if name.startswith(_LEFT_OUT) or "flag" in name or path.stat().st_size > MAX_BYTES // 8:
        return None
    title, keywords = _described(path)
    if len(re.findall("[a-z]", title)) < 3 or "flag" in title:
        return None
    return Pair(
        id=f"clip-art/{name}",
        concept=title,
        picture=VectorDrawing(path),
        texts=(title, *keywords),
    )


def _described(path: Path) -> tuple[str, tuple[str, ...]]:
    """Title and keywords, or blanks where the metadata cannot be read."""
    raw = path.read_bytes()
    block = _METADATA.search(raw)
    if block is None:
        return "", ()
    spaces = {match[0]: match[1] for match in _DECLARED.findall(raw)}
    declared = b" ".join(b'xmlns:%b="%b"' % space for space in spaces.items())
    inner = re.sub(_DECLARED, b"", block[0])
    try:
        tree = ElementTree.fromstring(b"<all " + declared + b">" + inner + b"</all>")
    except ElementTree.ParseError:
        return "", ()
    work = next(tree.iter(_WORK), None)
    if work is None:
        return "", ()
    title = " ".join((work.findtext(f"{_DC}title") or "").replace("_", " ").split()).lower()
    words = [(item.text or "").strip().lower() for item in work.iter(f"{_RDF}li")]
    kept = [word for word in words if len(word) > 2 and word not in _NO_KEYWORD]
    return title, tuple(dict.fromkeys(kept))
