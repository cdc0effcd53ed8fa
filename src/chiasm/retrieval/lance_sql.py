"""Filters as Lance's SQL. Every leaf is true or false, never null, so that `not` is exact."""

from chiasm.retrieval.fields import NUMBERS, TEXTS, Value
from chiasm.retrieval.where import All, Among, Any_, Compare, Not, Where, plain

SIGNS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def sql(where: Where) -> str:
    """An expression over the columns of `lance_rows`; equals `holds` row by row."""
    return _sql(plain(where))


def literal(value: Value) -> str:
    """A value as SQL; whatever the text, it stays one."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(float(value))


def among(column: str, values: list[str]) -> str:
    return f"{column} IN ({', '.join(map(literal, values))})"


def _sql(where: Where) -> str:
    match where:
        case All(parts):
            return _joined(" AND ", parts, "true")
        case Any_(parts):
            return _joined(" OR ", parts, "false")
        case Not(part):
            return f"(NOT {_sql(part)})"
        case Among(field, values):
            return _joined(" OR ", [Compare(field, "=", value) for value in values], "false")
        case Compare(field, operator, value):
            return _compare(_column(field, value), operator, value)


def _joined(word: str, parts: "tuple[Where, ...] | list[Compare]", empty: str) -> str:
    return f"({word.join(map(_sql, parts))})" if parts else empty


def _column(field: str, value: Value) -> str:
    if field in TEXTS or field in NUMBERS:
        return f"`{field}`"
    # Metadata of either sort has keys of its own: a word is never taken for a number.
    if isinstance(value, str):
        return f"json_get_string(metadata, {literal('s:' + field)})"
    return f"json_get_float(metadata, {literal('n:' + field)})"


def _compare(column: str, operator: str, value: Value) -> str:
    if operator == "~":
        told = f"contains(lower({column}), {literal(str(value).lower())})"
    else:
        told = f"{column} {SIGNS[operator]} {literal(value)}"
    if operator == "!=":
        return f"({column} IS NULL OR {told})"
    return f"({column} IS NOT NULL AND {told})"
