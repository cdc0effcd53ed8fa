"""Markdown, as the page that it stands for."""

import importlib.util
import re

from chiasm.errors import Misuse
from chiasm.ingestion.readers.html import VERSION as HTML_VERSION
from chiasm.ingestion.readers.html import read_markup
from chiasm.ingestion.readers.text import decoded
from chiasm.ingestion.reading import File, Options, Reader, Reading

VERSION = f"markdown 1, {HTML_VERSION}"
_FRONT = re.compile(r"\A---\s*\n(.*?)\n(?:---|\.\.\.)\s*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title\s*:\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)


def read(file: File, options: Options) -> Reading:
    """Sections by heading, and pictures of the folder; the front matter only gives the title."""
    if importlib.util.find_spec("markdown_it") is None:
        raise Misuse(
            "Markdown needs markdown-it-py, which is not installed: pip install 'chiasm[media]'"
        )
    from markdown_it import MarkdownIt

    words, notes = decoded(file.place.read_bytes())
    front = _FRONT.match(words)
    title = _TITLE.search(front[1]) if front else None
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = read_markup(
        file,
        options,
        page.render(words[front.end() :] if front else words),
        format="markdown",
        version=VERSION,
        title=title[1].strip("\"'") if title else "",
    )
    return Reading(units=found.units, notes=(*notes, *found.notes), beside=found.beside)


MARKDOWN = Reader(version=VERSION, read=read)
