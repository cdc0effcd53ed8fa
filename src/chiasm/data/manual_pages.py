"""A manual: what its figures show, in the words of their titles; and its text, without pictures."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from chiasm import weights
from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.pairs.pair import split_of

PACKAGE = "manual"
NAME, TEXT = "manual-pages", "manual-text"
_WORDS = 60
"""Of a passage, at least; it ends with the paragraph."""
_NUMBER = re.compile(r"^(Figure|Table)?\s*[\dA-Z]*\.[\d.]*\s*")
"""Of a figure or a section, which its words do not need."""


def load(split: str) -> Dataset:
    """Figures of one picture; a fifth of the pages is held out, and pictures that both have are
    taught alone.
    """
    root = weights.path(PACKAGE)
    pages = sorted(root.glob("*.html"))
    taught = {
        one.images for page in pages if split_of(page.stem) == "train" for one in _figures(page)
    }
    examples = [
        one
        for page in pages
        if split_of(page.stem) == split
        for one in _figures(page)
        if split == "train" or one.images not in taught
    ]
    return Dataset(NAME, split, tuple(examples))


def texts(split: str) -> Dataset:
    """Passages of its pages, asked for by the section's title: text alone."""
    pages = sorted(weights.path(PACKAGE).glob("*.html"))
    held = (one for page in pages if split_of(page.stem) == split for one in _passages(page))
    return Dataset(TEXT, split, tuple(held))


def _passages(page: Path) -> Iterator[Example]:
    tree = ElementTree.parse(page)
    about, number, passage = page.stem, 0, ""
    for element in tree.iter():
        if element.get("class") == "title" and not element.tag.endswith("}p"):
            about, passage = _NUMBER.sub("", _words(element)) or about, ""
        elif element.tag.endswith("}p") and element.get("class") is None:
            passage = f"{passage} {_words(element)}".strip()
            if len(passage.split()) >= _WORDS:
                asked = f"What does the manual say about '{about}'?"
                yield Example(f"{TEXT}/{page.stem}/{number}", (), (Turn(asked, passage),))
                number, passage = number + 1, ""


def _figures(page: Path) -> Iterator[Example]:
    tree = ElementTree.parse(page)
    titles = [_NUMBER.sub("", _words(one)) for one in tree.iter() if one.get("class") == "title"]
    about = titles[0] if titles else page.stem
    for number, figure in enumerate(e for e in tree.iter() if e.get("class") == "figure"):
        title = next((e for e in figure.iter() if e.get("class") == "title"), None)
        shown = [e.get("src") or "" for e in figure.iter() if e.tag.endswith("}img")]
        if title is None or len(shown) != 1 or not (page.parent / shown[0]).is_file():
            continue
        asked = f"What does this figure of the section '{about}' show?"
        said = _NUMBER.sub("", _words(title))
        if said:
            yield Example(
                f"{NAME}/{page.stem}/{number}", (page.parent / shown[0],), (Turn(asked, said),)
            )


def _words(of: ElementTree.Element) -> str:
    return " ".join("".join(of.itertext()).split())
