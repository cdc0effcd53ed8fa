"""Documents of words with pictures among them: sections by heading, figures in reading order."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from PIL import Image

from chiasm.ingestion.pictures import stored
from chiasm.ingestion.pieces import SIZE, pieces
from chiasm.ingestion.reading import File
from chiasm.retrieval.unit import Kind, Span, Unit


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture among words."""

    image: Image.Image
    caption: str = ""
    source: str = ""
    """Of its file, from the folder on; empty if the document holds it itself."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A paragraph, a heading (`level` from 1) or a figure."""

    text: str = ""
    level: int = 0
    figure: Figure | None = None


@dataclass(kw_only=True)
class _Section:
    headings: tuple[str, ...]
    spans: list[Span] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    @property
    def length(self) -> int:
        return sum(len(span.text) + 2 for span in self.spans)


def units_of(
    file: File, title: str, blocks: Iterable[Block], *, format: str, version: str
) -> tuple[Unit, ...]:
    """A `SECTION` for each heading's words, in several if they are long, and a `FIGURE` a picture.

    A section's text says where each figure stands, its metadata `figures` lists their ids, and its
    picture is the first one's. A figure's metadata names its `section`.
    """
    builder = _Builder(file, title, format, version)
    for block in blocks:
        builder.add(block)
    builder.close()
    return tuple(builder.units)


class _Builder:
    def __init__(self, file: File, title: str, format: str, version: str) -> None:
        self.units: list[Unit] = []
        self._file, self._title, self._format, self._version = file, title, format, version
        self._section = _Section(headings=())
        self._pending: list[Unit] = []
        self._sections = self._figures = 0

    def add(self, block: Block) -> None:
        if block.level:
            self.close()
            kept = self._section.headings[: block.level - 1]
            self._section = _Section(headings=(*kept, block.text))
        elif block.figure is not None:
            self._add_figure(block.figure)
        else:
            for run in pieces(block.text.split("\n")):
                self._add_words("\n".join(line for _, line in run).strip())

    def close(self) -> None:
        """Write the section, if it says anything."""
        section = self._section
        if section.spans or (section.headings and section.headings[-1] and not section.figures):
            self._write(section)
        self._section = _Section(headings=section.headings)

    def _add_words(self, text: str) -> None:
        if not text:
            return
        if self._section.spans and self._section.length + len(text) > SIZE:
            self.close()
        self._section.spans.append(Span(text=text))

    def _add_figure(self, figure: Figure) -> None:
        position = f"figure {self._figures}"
        self._figures += 1
        shown = figure.caption or self._heading
        unit = Unit(
            id=self._file.unit_id(position, self._version),
            path=self._file.path,
            file=self._file.sha256,
            kind=Kind.FIGURE,
            title=shown,
            text=figure.caption,
            picture=stored(figure.image),
            metadata={
                "format": self._format,
                "figure": self._figures,
                **({"source": figure.source} if figure.source else {}),
            },
        )
        self._section.figures.append(unit.id)
        self._section.spans.append(Span(text=f"[picture: {figure.caption or figure.source}]"))
        self._pending.append(unit)

    @property
    def _heading(self) -> str:
        parts = [self._title, *(one for one in self._section.headings if one)]
        return " › ".join(dict.fromkeys(parts))

    def _write(self, section: _Section) -> None:
        self._sections += 1
        unit = Unit(
            id=self._file.unit_id(f"section {self._sections}", self._version),
            path=self._file.path,
            file=self._file.sha256,
            kind=Kind.SECTION,
            title=self._heading,
            text="\n\n".join(span.text for span in section.spans),
            spans=tuple(section.spans),
            picture=self._pending[0].picture if self._pending else None,
            metadata={
                "format": self._format,
                "section": self._sections,
                **({"figures": " ".join(section.figures)} if section.figures else {}),
            },
        )
        self.units.append(unit)
        self.units += [
            replace(one, metadata={**one.metadata, "section": unit.id}) for one in self._pending
        ]
        self._pending = []
