"""JSON lists and JSON lines, one record at a time, so that a large file is never held parsed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chiasm.data.source import printable
from chiasm.errors import ChiasmError, Misuse

_SPACE = " \t\r\n"


def read_records(path: Path) -> Iterator[tuple[int, Any]]:
    """(number from 0, parsed record) of each entry of a JSON list or line of a JSONL file.

    Raises Misuse if the file is missing, ChiasmError naming the record where the JSON breaks.
    """
    name = printable(str(path))
    try:
        if path.suffix.lower() == ".jsonl":
            yield from _lines(path, name)
        else:
            yield from _entries(path.read_text(encoding="utf-8-sig"), name)
    except FileNotFoundError:
        raise Misuse(f"{name}: no such file; check the path") from None
    except OSError as error:
        raise ChiasmError(f"{name}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise ChiasmError(f"{name}: is not UTF-8 text ({error.reason}); save it as such") from None


def _lines(path: Path, name: str) -> Iterator[tuple[int, Any]]:
    number = 0
    with path.open(encoding="utf-8-sig") as lines:
        for line_number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ChiasmError(
                    f"{name}: record {number} (line {line_number}) is not JSON ({error}); fix it"
                ) from None
            yield number, record
            number += 1


def _entries(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """The entries of a JSON list, parsed one by one."""
    decoder, number = json.JSONDecoder(), 0
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ChiasmError(f"{name}: is not a JSON list of records; use .jsonl for one a line")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        try:
            record, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise ChiasmError(f"{name}: record {number} is not JSON ({error}); fix it") from None
        yield number, record
        number, at = number + 1, _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise ChiasmError(f"{name}: the list breaks off after record {number - 1}; restore it")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
