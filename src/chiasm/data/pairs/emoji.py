"""Emoji in three designs, with Unicode's names and keywords."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from chiasm import weights
from chiasm.data.pairs.pair import Pair
from chiasm.data.pairs.vector import VectorDrawing
from chiasm.errors import ChiasmError

NAMES = "emoji-names"
DESIGNS = {"fluent": "emoji-fluent", "twemoji": "emoji-twemoji", "noto": "emoji-noto"}
"""The package of each design."""

_TONES = {f"{code:x}" for code in range(0x1F3FB, 0x1F400)}
_PLAIN = ("fe0f", "200d")
_FONT = "NotoColorEmoji.ttf"
_FONT_SIZE = 109
"""The one size of which the font holds pictures."""


@dataclass(frozen=True)
class Glyph:
    """An emoji as a font of colour bitmaps has it."""

    font: Path
    text: str

    def draw(self) -> Image.Image:
        return _bitmap(self.font, self.text)


@cache
def pairs() -> tuple[Pair, ...]:
    """Each emoji in each design. The pictures of one base, whatever follows it, are one concept.

    Left out are variants in skin tone, which differ from each other in nothing that words say.
    """
    named = names()
    art = {design: weights.path(package) for design, package in DESIGNS.items()}
    found: list[Pair] = []
    for key, texts in sorted(named.items()):
        for design, picture in _pictures(key, art).items():
            found.append(
                Pair(
                    id=f"emoji/{design}/{key}",
                    concept=concept(key),
                    picture=picture,
                    texts=texts,
                    design=design,
                )
            )
    return tuple(found)


def names(locale: str = "en") -> dict[str, tuple[str, ...]]:
    """Name and keywords by code points in hexadecimal, without the variants in skin tone."""
    root = weights.path(NAMES)
    called: dict[str, str] = {}
    keywords: dict[str, tuple[str, ...]] = {}
    for part in ("annotations", "annotationsDerived"):
        for found in ElementTree.parse(root / part / f"{locale}.xml").iter("annotation"):
            key = "-".join(f"{ord(sign):x}" for sign in found.get("cp", "") if ord(sign) != 0xFE0F)
            said = (found.text or "").strip()
            if "↑↑↑" in said or not said:
                continue
            if found.get("type") == "tts":
                called[key] = said
            else:
                keywords[key] = tuple(word.strip() for word in said.split("|"))
    return {
        key: tuple(dict.fromkeys((name, *keywords.get(key, ()))))
        for key, name in called.items()
        if not _TONES & set(key.split("-"))
    }


def _pictures(key: str, art: dict[str, Path]) -> dict[str, Path | VectorDrawing | Glyph]:
    """By design; a file's name may or may not spell out the sign that asks for colour."""
    found: dict[str, Path | VectorDrawing | Glyph] = {}
    for path in _named_files(art["fluent"], ".webp").get(key, ()):
        found["fluent"] = path
    for path in _named_files(art["twemoji"], ".svg").get(key, ()):
        found["twemoji"] = VectorDrawing(path)
    text = "".join(chr(int(code, 16)) for code in key.split("-"))
    if "fluent" in found and len(text) == 1:
        found["noto"] = Glyph(art["noto"] / _FONT, text)
    return found


@cache
def _named_files(folder: Path, suffix: str) -> dict[str, tuple[Path, ...]]:
    named: dict[str, tuple[Path, ...]] = {}
    for path in sorted(folder.glob(f"*{suffix}")):
        codes = [code.lstrip("0") for code in path.stem.lower().split("-")]
        named["-".join(code for code in codes if code != "fe0f")] = (path,)
    return named


def concept(key: str) -> str:
    """The base: what stands before the first joiner."""
    codes = key.split("-")
    cut = codes.index("200d") if "200d" in codes else len(codes)
    return "emoji " + "-".join(codes[:cut])


@cache
def _font(path: Path):
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(path), _FONT_SIZE)
    except OSError as error:
        raise ChiasmError(f"{path}: no font of colour bitmaps ({error}); fetch it again") from None


def _bitmap(path: Path, text: str) -> Image.Image:
    from PIL import ImageDraw

    picture = Image.new("RGB", (136, 128), "white")
    ImageDraw.Draw(picture).text((0, 0), text, font=_font(path), embedded_color=True)
    return picture
