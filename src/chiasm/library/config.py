"""What a library says of itself: `library.json`, beside its tables."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from chiasm.errors import ChiasmError, Misuse

FILE = "library.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Config:
    """Values that a library keeps for good; only `folder` may change."""

    embedder: str
    """The name or folder of what its vectors were made by."""
    width: int
    """Of those vectors."""
    backend: str
    """Which engine keeps the rows."""
    store: str
    """Where: a folder beside this file, or an address that the engine knows."""
    folder: str = ""
    """Whose files it holds; empty before the first indexing."""
    format: int = FORMAT


def read(location: Path) -> Config:
    """The configuration of a library.

    Raises:
        Misuse: there is no library.
        ChiasmError: it cannot be read, or is of a later format.
    """
    path = location / FILE
    if not path.is_file():
        raise Misuse(
            f"{location}: holds no library; make one with `chiasm index FOLDER --into {location}`"
        )
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        number = told["format"]
        if number == FORMAT:
            return Config(**told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChiasmError(f"{path}: cannot be read ({error}); index the folder anew") from None
    raise ChiasmError(
        f"{path}: is of format {number}, and this chiasm reads {FORMAT}; upgrade chiasm"
    )


def write(location: Path, config: Config) -> None:
    """Replace the configuration in one step."""
    new = location / f".{FILE}.new"
    with new.open("w", encoding="utf-8") as stream:
        json.dump(asdict(config), stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, location / FILE)
