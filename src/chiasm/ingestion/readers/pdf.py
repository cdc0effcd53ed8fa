"""PDFs page by page: lines of text with their boxes, and the page as it looks."""

import ctypes
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
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
    seen = _seen(page)
    try:
        count = words.count_chars()
        chars = [chr(raw.FPDFText_GetUnicode(words, at)) for at in range(count)]
        start = 0
        for at, char in enumerate([*chars, "\n"]):
            if char not in "\r\n":
                continue
            # PDFium marks a hyphen at the end of a line so, and what has no meaning as 0.
            line = "".join(chars[start:at]).replace("\x02", "-").replace("\ufffe", "-")
            line = " ".join(line.replace("\0", " ").split())
            if line:
                yield Span(text=line, box=_box(words, start, at - start, seen))
            start = at + 1
    finally:
        words.close()


def _box(words: Any, start: int, count: int, seen: np.ndarray) -> Box | None:
    """Around some characters, in fractions of the page; None where they have no place."""
    found = [words.get_rect(at) for at in range(words.count_rects(start, count))]
    if not found:
        return None
    corners = np.array(
        [[x, y, 1.0] for left, low, right, high in found for x, y in ((left, low), (right, high))]
    )
    places = (corners @ seen).clip(0.0, 1.0)
    left, top = places.min(0).tolist()
    right, bottom = places.max(0).tolist()
    return left, top, right, bottom


def _seen(page: Any) -> np.ndarray:
    """From a point of the page to where it is drawn, turned and cropped: (x, y, 1) @ it, in
    fractions of the picture.
    """
    import pypdfium2.raw as raw

    def drawn(x: float, y: float) -> np.ndarray:
        across, down = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(
            page, 0, 0, _GRID, _GRID, 0, x, y, ctypes.byref(across), ctypes.byref(down)
        )
        return np.array([across.value, down.value]) / _GRID

    # The map is affine: three points tell it, far apart for the sake of rounding.
    width, height = page.get_size()
    far = max(width, height, 1.0)
    base = drawn(0.0, 0.0)
    return np.stack([(drawn(far, 0.0) - base) / far, (drawn(0.0, far) - base) / far, base])


PDF = Reader(version=VERSION, read=read, looks=True)
