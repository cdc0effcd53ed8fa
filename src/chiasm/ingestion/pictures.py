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
    drawn = image.getcolors(_COLOURS) is not None
    into = io.BytesIO()
    if drawn:
        image.save(into, "PNG", optimize=True)
    else:
        image.save(into, "JPEG", quality=_QUALITY)
    return into.getvalue()
