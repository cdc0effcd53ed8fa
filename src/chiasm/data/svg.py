"""SVG drawn by resvg: the one place that calls it."""

import importlib.util
import re
from collections.abc import Callable

from chiasm.errors import Misuse

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def rendered(svg: str, attribute: Callable[[str, str], str], side: int) -> bytes:
    """PNG on white, `side` pixels on its longer side, whatever size the drawing asks for.

    `attribute(name, default)` reads the root element's. References must have been cut off before.

    Raises:
        Misuse: resvg is not installed.
        ValueError: resvg cannot draw it.
    """
    if importlib.util.find_spec("resvg_py") is None:
        raise Misuse("SVG needs resvg-py, which is not installed: pip install 'chiasm[media]'")
    import resvg_py

    tall = _tall(attribute)
    # Lengths in millimetres have no size in pixels without a resolution.
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            background="#ffffff",
            dpi=96,
            width=None if tall else side,
            height=side if tall else None,
        )
    )


def _tall(attribute: Callable[[str, str], str]) -> bool:
    """Whether the drawing is higher than it is wide, as far as it says; only its longer side may be
    given, the other follows.
    """
    box = _NUMBER.findall(attribute("viewBox", ""))
    if len(box) == 4:
        return float(box[3]) > float(box[2])
    width, height = (_NUMBER.match(attribute(name, "").strip()) for name in ("width", "height"))
    return bool(width and height) and float(height[0]) > float(width[0])  # pyright: ignore
