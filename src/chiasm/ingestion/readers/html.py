"""Web pages as they are seen: no scripts, no styles, no hidden words; local pictures as figures."""

import importlib.util
import re
import warnings
from collections.abc import Iterator
from typing import Any

from chiasm.errors import Misuse
from chiasm.ingestion.document import Block, Figure, units_of
from chiasm.ingestion.local import Pictures
from chiasm.ingestion.reading import File, Options, Reader, Reading

VERSION = "html 1"
_UNSEEN = (
    *("script", "style", "template", "noscript", "iframe", "object", "embed", "svg", "math"),
    *("canvas", "audio", "video", "select", "datalist", "dialog"),
)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|opacity\s*:\s*0(\.0*)?\s*(;|$|!)"
    r"|font-size\s*:\s*0(\.0*)?\s*(px|pt|r?em|%)?\s*(;|$|!)",
    re.IGNORECASE,
)
_BREAK = "\v"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = {
    *("p", "div", "section", "article", "main", "header", "footer", "nav", "aside", "body", "html"),
    *("li", "ul", "ol", "dl", "dt", "dd", "tr", "table", "thead", "tbody", "caption", "blockquote"),
    *("pre", "figure", "figcaption", "form", "fieldset", "details", "summary", "address", "hr"),
    *_HEADINGS,
}


def read(file: File, options: Options) -> Reading:
    """Sections by heading, and the pictures of the folder that stand among them."""
    return read_markup(file, options, file.place.read_bytes(), format="html", version=VERSION)


def read_markup(
    file: File, options: Options, markup: bytes | str, *, format: str, version: str, title: str = ""
) -> Reading:
    """What a page of HTML shows, whatever it was written in."""
    soup = parsed(markup)
    title = title or _title(soup) or file.title
    pictures = Pictures(file, options.limits)
    units = units_of(file, title, blocks(soup, pictures), format=format, version=version)
    notes = pictures.said() if units else (*pictures.said(), "shows no words and no pictures")
    return Reading(units=units, notes=notes, beside=pictures.beside)


def parsed(markup: bytes | str) -> Any:
    """The tree without what a reader of the page would not see.

    Raises:
        Misuse: beautifulsoup4 or lxml is not installed.
    """
    if not all(importlib.util.find_spec(name) for name in ("bs4", "lxml")):
        raise Misuse(
            "web pages and Markdown need beautifulsoup4 and lxml, which are not installed: "
            "pip install 'chiasm[media]'"
        )
    from bs4 import BeautifulSoup

    with warnings.catch_warnings():
        # It suspects that short words are file names, and that XHTML wants another parser.
        warnings.simplefilter("ignore")
        soup = BeautifulSoup(markup, "lxml")
    for node in soup.find_all(_unseen):
        if not node.decomposed:
            node.decompose()
    return soup


def blocks(soup: Any, pictures: Pictures) -> Iterator[Block]:
    """Headings, paragraphs and figures in reading order."""
    from bs4.element import NavigableString, PreformattedString, Tag

    words: list[str] = []
    owner = None

    def told() -> Iterator[Block]:
        if text := _joined(words, owner):
            yield Block(text=text, level=_HEADINGS.get(owner.name, 0) if owner is not None else 0)
        words.clear()

    captions = _captions(soup)
    body = soup.body or soup
    for node in list(body.descendants):
        if isinstance(node, NavigableString):
            if isinstance(node, PreformattedString):
                continue
            now = next((one for one in node.parents if one.name in _BLOCKS), None)
            if now is not owner:
                yield from told()
                owner = now
            words.append(str(node))
        elif isinstance(node, Tag) and node.name == "br":
            words.append(_BREAK)
        elif isinstance(node, Tag) and node.name in ("td", "th") and words:
            words.append(" | ")
        elif isinstance(node, Tag) and node.name == "img":
            found = pictures.read(str(node.get("src") or ""))
            if found is None:
                words.append(f" {node.get('alt') or ''} ")
                continue
            yield from told()
            caption = captions.get(id(node)) or str(node.get("alt") or node.get("title") or "")
            figure = Figure(image=found[0], caption=" ".join(caption.split()), source=found[1])
            yield Block(figure=figure)
    yield from told()


def _unseen(node: Any) -> bool:
    if node.name in _UNSEEN or node.has_attr("hidden"):
        return True
    if node.name == "input" and node.get("type") == "hidden":
        return True
    return bool(_HIDDEN.search(str(node.get("style") or "")))


def _captions(soup: Any) -> dict[int, str]:
    """By picture, what its `figure` says below it; that is taken out of the page's own words."""
    captions = {}
    for node in soup.find_all("figure"):
        caption, images = node.find("figcaption"), node.find_all("img")
        if caption is not None and len(images) == 1:
            captions[id(images[0])] = caption.get_text(" ")
            if not caption.find("img"):
                caption.decompose()
    return captions


def _title(soup: Any) -> str:
    return " ".join(soup.title.get_text(" ").split()) if soup.title else ""


def _joined(words: list[str], owner: Any) -> str:
    """Blanks as a browser shows them; those of preformatted words stay."""
    whole = "".join(words)
    if owner is not None and owner.name == "pre":
        return whole.replace(_BREAK, "\n").strip("\n")
    # Line ends that the markup asks for stay; those of its source are blanks.
    lines = (" ".join(line.split()).strip("| ") for line in whole.split(_BREAK))
    return "\n".join(filter(None, lines))


HTML = Reader(version=VERSION, read=read)
