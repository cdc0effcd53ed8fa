"""Pictures in terminals that speak kitty's graphics protocol.

https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

import base64
import io
import os
import sys
from collections.abc import Mapping

from PIL import Image

ROWS = 8
"""Lines of text that a picture is as high as."""
_SIDE = 320
_CHUNK = 4096
_SPEAKERS = ("ghostty", "wezterm")


def shows_pictures(environment: Mapping[str, str] | None = None, tty: bool | None = None) -> bool:
    """Whether standard output is such a terminal, as far as its environment tells."""
    told = os.environ if environment is None else environment
    if not (sys.stdout.isatty() if tty is None else tty):
        return False
    kitty = "kitty" in told.get("TERM", "") or "KITTY_WINDOW_ID" in told
    # A multiplexer keeps the variables and does not pass pictures on.
    inside = "TMUX" in told or told.get("TERM", "").startswith("screen")
    return (kitty or told.get("TERM_PROGRAM", "").lower() in _SPEAKERS) and not inside


def written(picture: bytes) -> str:
    """The escape codes that show a picture `ROWS` lines high."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    into = io.BytesIO()
    small.save(into, "PNG")
    data = base64.b64encode(into.getvalue()).decode()
    parts = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    codes = []
    for number, part in enumerate(parts):
        first = f"a=T,f=100,r={ROWS}," if number == 0 else ""
        codes.append(f"\x1b_G{first}m={int(number < len(parts) - 1)};{part}\x1b\\")
    return "".join(codes)
