"""Vector drawings as pictures: SVG, drawn on white."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageChops

from chiasm.errors import ChiasmError, Misuse

MAX_BYTES = 8 * 2**20
"""Of SVG accepted from one file."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
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
    try:
        import resvg_py
    except ImportError:
        needs = "SVG needs resvg, which is not installed: pip install 'chiasm[media]'"
        raise Misuse(needs) from None
    if len(svg) > MAX_BYTES:
        raise ChiasmError(f"{name}: {len(svg):,} bytes of SVG, above the cap of {MAX_BYTES:,}")
    try:
        # Lengths in millimetres have no size in pixels without a resolution.
        root = _closed(ElementTree.fromstring(svg))
        text = ElementTree.tostring(root, encoding="unicode")
        width, height = (None, side) if _tall(root) else (side, None)
        drawn = resvg_py.svg_to_bytes(svg_string=text, dpi=96, width=width, height=height)
        picture = Image.open(io.BytesIO(bytes(drawn))).convert("RGBA")
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{name}: cannot be drawn ({reason}); save it again") from None
    white = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(white, picture).convert("RGB")
    flat.thumbnail((side, side))
    return flat


def _closed(root: ElementTree.Element) -> ElementTree.Element:
    """The drawing without links that lead out of it."""
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name.rpartition("}")[2] == _LINK and not value.strip().startswith(_INSIDE):
                del element.attrib[name]
    return root


def _tall(root: ElementTree.Element) -> bool:
    """Whether it is higher than wide: only its longer side may be given, the other follows."""
    numbers = [float(n) for n in _NUMBER.findall(root.get("viewBox", ""))]
    if len(numbers) == 4:
        return numbers[3] > numbers[2]
    width, height = (_NUMBER.findall(root.get(side, "")) for side in ("width", "height"))
    return bool(width and height) and float(height[0]) > float(width[0])
