"""A trace: the append-only list of records that a pipeline reads and writes, kept as JSON lines."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

from chiasm.answering.records import (
    Answered,
    Asked,
    Began,
    Evidence,
    Found,
    Json,
    Note,
    Record,
    Stage,
    as_json,
    from_json,
)
from chiasm.errors import ChiasmError, Misuse

R = TypeVar("R")


class Trace:
    """Records in the order in which they came; none is ever changed or taken out."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = list(records)

    def append(self, record: Record) -> None:
        self._records.append(record)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def of(self, kind: type[R]) -> list[R]:
        """All records of one kind."""
        return _of(self._records, kind)

    def began(self) -> Began:
        return self._last(Began, "no pipeline that began")

    def asked(self) -> Asked:
        """The question in its latest form."""
        return self._last(Asked, "no question")

    def answered(self) -> Answered:
        return self._last(Answered, "no answer")

    def found(self) -> list[Found]:
        """The hits of the latest stage, best first."""
        return _of(self._since_stage(), Found)

    def evidence(self) -> list[Evidence]:
        """What was chosen from the latest stage; its place here, from 1, is its number."""
        return _of(self._since_stage(), Evidence)

    def notes(self) -> list[str]:
        return [note.text for note in self.of(Note)]

    def _since_stage(self) -> list[Record]:
        stages = self.of(Stage)
        return self._records[self._place(stages[-1]) :] if stages else []

    def _place(self, of: Record) -> int:
        """Of the very record, equal ones apart."""
        return next(place for place, one in enumerate(self._records) if one is of)

    def _last(self, kind: type[R], missing: str) -> R:
        of_kind = self.of(kind)
        if not of_kind:
            raise ChiasmError(f"the trace holds {missing}; it was cut short")
        return of_kind[-1]

    def lines(self) -> Iterator[str]:
        """One JSON object a record."""
        return (written(as_json(record)) for record in self._records)

    def save(self, path: Path) -> None:
        """Write the whole file or none of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            file.writelines(f"{line}\n" for line in self.lines())
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)

    @classmethod
    def open(cls, path: Path) -> "Trace":
        """A saved trace.

        Raises:
            Misuse: there is no such file.
            ChiasmError: a line that is no record; it is named.
        """
        if not path.is_file():
            raise Misuse(f"{path}: no such trace; give a file that --trace wrote")
        records: list[Record] = []
        try:
            with path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    try:
                        records.append(from_json(json.loads(line)))
                    except ValueError as error:
                        raise ChiasmError(f"{path}, line {number}: no JSON ({error})") from error
                    except ChiasmError as error:
                        raise ChiasmError(f"{path}, line {number}: {error}") from error
        except UnicodeDecodeError as error:
            raise ChiasmError(f"{path}: no trace, which is text: {error.reason}") from error
        if not records or not isinstance(records[0], Began):
            raise ChiasmError(f"{path}: no trace, which starts with how it began")
        return cls(records)


def _of(records: Iterable[Record], kind: type[R]) -> list[R]:
    return [record for record in records if isinstance(record, kind)]


def written(value: Json) -> str:
    """The one way in which a value is written: what is equal is written alike."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
