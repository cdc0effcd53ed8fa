"""Filters as Qdrant's, in the JSON that its REST interface reads.

Payload keys of metadata are `s_HEX` for words and `n_HEX` for numbers, the name in hexadecimal, so
that any name is a plain key and the two sorts never mix. What Qdrant has no condition for (order
among words, parts of words whatever the case) is not translated: those rows are read and tested.
"""

from collections.abc import Sequence
from typing import Any

from chiasm.retrieval.fields import NUMBERS, TEXTS, Value
from chiasm.retrieval.where import All, Among, Any_, Compare, Not, Where, plain

Filter = dict[str, Any]
NOTHING: Filter = {"has_id": []}
BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def pushed(where: Where | None) -> tuple[Filter | None, bool]:
    """A filter that selects at least the rows that `where` does, and whether it selects no other.

    Of parts that all must hold, those that translate are kept.
    """
    if where is None:
        return None, True
    tree = plain(where)
    whole = _translated(tree)
    if whole is not None:
        return whole, True
    parts = tree.parts if isinstance(tree, All) else ()
    kept = [one for one in map(_translated, parts) if one is not None]
    return ({"must": kept} if kept else None), False


def key(field: str, value: Value) -> str:
    """A field's key in the payload, for a value of its sort."""
    if field in TEXTS or field in NUMBERS:
        return field
    return f"{'s' if isinstance(value, str) else 'n'}_{field.encode().hex()}"


def _translated(where: Where) -> Filter | None:
    match where:
        case All(parts):
            return _all("must", parts)
        case Any_(parts):
            return _all("should", parts) if parts else NOTHING
        case Not(part):
            return _all("must_not", (part,))
        case Among(field, values):
            # The whole text is only in the record.
            if field == "text":
                return None
            words = [value for value in values if isinstance(value, str)]
            found = [{"key": key(field, ""), "match": {"any": words}}] if words else []
            numbers = [value for value in values if not isinstance(value, str)]
            found += [_number(field, value, "gte", "lte") for value in numbers]
            return {"should": found} if found else NOTHING
        case Compare(field, "!=", value):
            return _all("must_not", (Compare(field, "=", value),))
        case Compare("text", _, _) | Compare(_, "~", _):
            return None
        case Compare(field, "=", str() as value):
            return {"key": key(field, value), "match": {"value": value}}
        case Compare(_, _, str()):
            return None
        case Compare(field, "=", value):
            return _number(field, value, "gte", "lte")
        case Compare(field, operator, value):
            return _number(field, value, BOUNDS[operator])


def _all(word: str, parts: Sequence[Where]) -> Filter | None:
    found = [_translated(part) for part in parts]
    return None if None in found else {word: found}


def _number(field: str, value: Value, *bounds: str) -> Filter:
    return {"key": key(field, value), "range": dict.fromkeys(bounds, float(value))}
