"""Pictures as a library keeps them: small enough to store by the thousand, good enough to see."""

import io

from PIL import Image

SIDE = 1024
"""Pixels of the longer side at most."""
_COLOURS = 256
_QUALITY = 88


def stored(image: Image.Image, *, side: int = SIDE) -> bytes:
    """PNG of a drawing, JPEG of a photograph, shrunk to `side` pixels if it is larger."""
    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    colours = image.getcolors(_COLOURS)
    into = io.BytesIO()
    if colours is None:
        image.save(into, "JPEG", quality=_QUALITY)
    else:
        # Pages are grey, and there are many of them: harder compression takes ten times as long.
        grey = all(len(set(colour)) == 1 for _, colour in colours)  # pyright: ignore
        (image.convert("L") if grey else image).save(into, "PNG", compress_level=3)
    return into.getvalue()
