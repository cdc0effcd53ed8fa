"""A unit's picture with the boxes that an answer cites, or a small one for a list."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from chiasm.data.media import read_image
from chiasm.retrieval.unit import Box, Unit
from chiasm.serving.refusal import Refused

COLOUR = (214, 40, 40)
THUMBNAIL = 320
"""Longest side of a small picture, in pixels."""


def marked(unit: Unit, boxes: Sequence[Box] = (), *, longest: int | None = None) -> bytes:
    """PNG of the picture, each box outlined and its inside tinted.

    Raises:
        ChiasmError: a unit without a picture.
    """
    if unit.picture is None:
        raise Refused(404, f"{unit.id!r:.80} has no picture")
    image = read_image(unit.picture)
    if longest is not None:
        image.thumbnail((longest, longest))
    tint = Image.new("RGBA", image.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(tint)
    width = max(2, round(max(image.size) / 300))
    for left, top, right, bottom in boxes:
        corners = (
            left * (image.width - 1),
            top * (image.height - 1),
            right * (image.width - 1),
            bottom * (image.height - 1),
        )
        pen.rectangle(corners, fill=(*COLOUR, 40), outline=(*COLOUR, 255), width=width)
    out = io.BytesIO()
    Image.alpha_composite(image.convert("RGBA"), tint).convert("RGB").save(out, format="PNG")
    return out.getvalue()


def read_box(text: str) -> Box:
    """`left,top,right,bottom` as fractions.

    Raises:
        Refused: not four of them in order.
    """
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError:
        raise Refused(400, "a box is left,top,right,bottom", field="box") from None
    if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
        raise Refused(400, "a box is left,top,right,bottom from 0 to 1, in order", field="box")
    return left, top, right, bottom
