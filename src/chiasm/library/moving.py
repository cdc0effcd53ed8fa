"""A file under a new name: the rows it would get by being read there, without reading it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from chiasm.ingestion import File
from chiasm.ingestion.reading import moved_id, title_of
from chiasm.retrieval.unit import Unit


def moved(units: Sequence[Unit], file: File) -> list[Unit]:
    """The units of a file as they are at its new path: ids, and titles made of its name."""
    ids = {unit.id: moved_id(unit.id, file.path) for unit in units}
    return [
        replace(
            unit,
            id=ids[unit.id],
            path=file.path,
            title=_title(unit.title, unit.path, file.path),
            metadata={key: _renamed(value, ids) for key, value in unit.metadata.items()},
        )
        for unit in units
    ]


def _title(title: str, old: str, new: str) -> str:
    if title == PurePosixPath(old).name:
        return PurePosixPath(new).name
    first, mark, rest = title.partition(" › ")
    return title_of(new) + mark + rest if first == title_of(old) else title


def _renamed(value: str | int | float, ids: Mapping[str, str]) -> str | int | float:
    """Metadata that names other units of the file, by their new ids."""
    if not isinstance(value, str):
        return value
    names = value.split(" ")
    return " ".join(ids[one] for one in names) if all(one in ids for one in names) else value
