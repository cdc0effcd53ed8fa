"""Vector drawings as pictures: SVG, drawn on white."""

import io
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageChops

from chiasm.data.svg import rendered
from chiasm.errors import ChiasmError, Misuse

MAX_BYTES = 8 * 2**20
"""Of SVG accepted from one file."""

_LINK = "href"
_INSIDE = ("#", "data:")


@dataclass(frozen=True)
class VectorDrawing:
    """An SVG file, drawn `side` pixels on its longer side, without the blank paper around it."""

    path: Path
    side: int = 256

    def draw(self) -> Image.Image:
        page = draw_svg(self.path.read_bytes(), 2 * self.side, str(self.path))
        inked = ImageChops.invert(page).getbbox()
        page = page.crop(inked) if inked else page
        page.thumbnail((self.side, self.side))
        return page


def draw_svg(svg: bytes, side: int, name: str = "SVG") -> Image.Image:
    """RGB on white, `side` pixels on its longer side. What it refers to outside of itself is not
    read.

    Raises:
        Misuse: resvg is not installed.
        ChiasmError: not an SVG, or one above `MAX_BYTES`.
    """
    if len(svg) > MAX_BYTES:
        raise ChiasmError(f"{name}: {len(svg):,} bytes of SVG, above the cap of {MAX_BYTES:,}")
    try:
        root = _closed(ElementTree.fromstring(svg))
        drawn = rendered(ElementTree.tostring(root, encoding="unicode"), root.get, side)
        flat = Image.open(io.BytesIO(drawn)).convert("RGB")
    except Misuse:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{name}: cannot be drawn ({reason}); save it again") from None
    flat.thumbnail((side, side))
    return flat


def _closed(root: ElementTree.Element) -> ElementTree.Element:
    """The drawing without links that lead out of it."""
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name.rpartition("}")[2] == _LINK and not value.strip().startswith(_INSIDE):
                del element.attrib[name]
    return root
