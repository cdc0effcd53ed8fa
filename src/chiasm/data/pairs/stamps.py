"""Tux Paint's stamps: captions, many translated and read aloud."""

from functools import cache
from pathlib import Path

from chiasm import weights
from chiasm.data.pairs.pair import Pair
from chiasm.data.pairs.vector import VectorDrawing

PACKAGE = "stamps"


@cache
def pairs() -> tuple[Pair, ...]:
    """Every stamp that has a caption and a picture; stamps of one caption are one concept."""
    root = weights.path(PACKAGE)
    found = (_pair(path, root) for path in sorted(root.rglob("*.txt")))
    return tuple(pair for pair in found if pair is not None)


def _pair(text: Path, root: Path) -> Pair | None:
    lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
    caption = lines[0].strip() if lines else ""
    drawing, photo = text.with_suffix(".svg"), text.with_suffix(".png")
    if not caption or not (drawing.is_file() or photo.is_file()):
        return None
    told = (line.partition(".utf8=") for line in lines[1:])
    spoken = {
        path.stem.removeprefix(f"{text.stem}_desc").removeprefix("_") or "en": path
        for path in sorted(text.parent.glob(f"{text.stem}_desc*.ogg"))
    }
    return Pair(
        id=f"stamps/{text.relative_to(root).with_suffix('').as_posix()}",
        concept=caption.lower(),
        picture=photo if photo.is_file() else VectorDrawing(drawing),
        texts=(caption,),
        translations={code: said.strip() for code, mark, said in told if mark and said.strip()},
        spoken=spoken,
    )
