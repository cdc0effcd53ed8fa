"""PDFs page by page: lines of text with their boxes, and the page as it looks."""

import ctypes
import importlib.util
from collections.abc import Iterator
from typing import Any

from PIL import Image

from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion.ocr import words_on
from chiasm.ingestion.pictures import SIDE, stored
from chiasm.ingestion.reading import File, Options, Reader, Reading
from chiasm.retrieval.unit import Box, Kind, Span, Unit

VERSION = "pdf 1"
_SCANNED = 2_000
"""Pixels of the longer side at which a page without text is read."""
_GRID = 100_000
"""Steps in which PDFium tells where a point of a page lies."""


def read(file: File, options: Options) -> Reading:
    """A `PAGE` a page that shows anything; one without text is recognised if OCR is on."""
    pdf = _opened(file)
    units, notes = [], []
    try:
        count, most = len(pdf), options.limits.pages
        title = " ".join(pdf.get_metadata_dict().get("Title", "").split()) or file.title
        for number in range(min(count, most)):
            try:
                unit = _page(file, pdf, number, title, count, options)
            except Exception as error:
                # PDFium's own errors, and those of damaged pictures inside the page.
                notes.append(f"page {number + 1} cannot be read ({error})")
                continue
            if unit is not None:
                units.append(unit)
        if count > most:
            notes.append(f"has {count:,} pages; only the first {most:,} are read")
    finally:
        pdf.close()
    return Reading(units=tuple(units), notes=tuple(notes) if units else (*notes, "shows nothing"))


def _opened(file: File) -> Any:
    if importlib.util.find_spec("pypdfium2") is None:
        raise Misuse("PDFs need pypdfium2, which is not installed: pip install 'chiasm[media]'")
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(file.place)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise ChiasmError("is encrypted; save it without its password") from None
        raise ChiasmError(f"is no whole PDF ({error}); save or download it again") from None


def _page(
    file: File, pdf: Any, number: int, title: str, count: int, options: Options
) -> Unit | None:
    page = pdf[number]
    try:
        spans = tuple(_lines(page))
        image = _drawn(page, SIDE)
        bare = not spans and _uniform(image)
        if not spans and not bare and options.ocr:
            spans = words_on(_drawn(page, _SCANNED))
    finally:
        page.close()
    if bare:
        return None
    return Unit(
        id=file.unit_id(f"page {number + 1}", VERSION),
        path=file.path,
        file=file.sha256,
        kind=Kind.PAGE,
        title=title,
        text="\n".join(span.text for span in spans),
        spans=spans,
        page=number + 1,
        picture=stored(image),
        metadata={"format": "pdf", "pages": count},
    )


def _drawn(page: Any, side: int) -> Image.Image:
    """The page with its longer side `side` pixels long, whatever size it claims."""
    width, height = page.get_size()
    return page.render(scale=side / max(width, height, 1.0)).to_pil().convert("RGB")


def _uniform(image: Image.Image) -> bool:
    return image.getcolors(1) is not None


def _lines(page: Any) -> Iterator[Span]:
    """Lines of text in the order of the file, each with the box around its characters."""
    import pypdfium2.raw as raw

    words = page.get_textpage()
    try:
        text: list[str] = []
        boxes: list[Box] = []
        for at in range(words.count_chars()):
            char = chr(raw.FPDFText_GetUnicode(words, at))
            if char in "\r\n":
                yield from _span(text, boxes)
                text, boxes = [], []
            # PDFium marks a hyphen at the end of a line so.
            elif char not in "\x02\ufffe":
                text.append(char)
                if not char.isspace():
                    boxes.append(_box(page, words.get_charbox(at)))
            else:
                text.append("-")
        yield from _span(text, boxes)
    finally:
        words.close()


def _span(text: list[str], boxes: list[Box]) -> Iterator[Span]:
    line = " ".join("".join(text).replace("\0", " ").split())
    if not line:
        return
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    yield Span(text=line, box=(min(lefts), min(tops), max(rights), max(bottoms)))


def _box(page: Any, corners: tuple[float, float, float, float]) -> Box:
    """A rectangle of the page as fractions of what is drawn: turned and cropped as the page is."""
    left, bottom, right, top = corners
    xs, ys = zip(_seen(page, left, top), _seen(page, right, bottom), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _seen(page: Any, x: float, y: float) -> tuple[float, float]:
    import pypdfium2.raw as raw

    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(
        page, 0, 0, _GRID, _GRID, 0, x, y, ctypes.byref(across), ctypes.byref(down)
    )
    return _fraction(across.value), _fraction(down.value)


def _fraction(steps: int) -> float:
    return min(max(steps / _GRID, 0.0), 1.0)


PDF = Reader(version=VERSION, read=read, looks=True)
