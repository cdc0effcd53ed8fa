"""A unit as JSON and back, whatever engine keeps it; its picture is kept beside."""

import json
from dataclasses import asdict

from chiasm.retrieval.unit import Kind, Span, Unit


def record(unit: Unit) -> str:
    """All of it but the picture."""
    found = asdict(unit)
    del found["picture"]
    return json.dumps(found, ensure_ascii=False)


def from_record(text: str, picture: bytes | None) -> Unit:
    """What `record` wrote."""
    found = json.loads(text)
    spans = tuple(Span(**{**one, "box": _box(one["box"])}) for one in found.pop("spans"))
    kind, box = Kind(found.pop("kind")), _box(found.pop("box"))
    return Unit(**found, kind=kind, box=box, spans=spans, picture=picture)


def _box(found: list[float] | None) -> tuple[float, float, float, float] | None:
    return None if found is None else (found[0], found[1], found[2], found[3])
