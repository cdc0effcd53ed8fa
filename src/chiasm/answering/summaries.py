"""What pictures were said to show, kept in a file: a picture is summarised once."""

import json
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from chiasm.errors import ChiasmError


class Summaries(MutableMapping[str, str]):
    """A mapping whose every change is written before it returns."""

    def __init__(self, path: Path) -> None:
        """Raises ChiasmError for a file that holds anything else."""
        self._path, self._held = path, dict[str, str]()
        if not path.is_file():
            return
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            read = None
        if not isinstance(read, dict) or not all(isinstance(one, str) for one in read.values()):
            raise ChiasmError(f"{path}: holds no summaries; move it away, and they are made again")
        self._held = read

    def __getitem__(self, key: str) -> str:
        return self._held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __setitem__(self, key: str, value: str) -> None:
        self._held[key] = value
        self._write()

    def __delitem__(self, key: str) -> None:
        del self._held[key]
        self._write()

    def _write(self) -> None:
        folder = self._path.parent
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as file:
            json.dump(self._held, file, ensure_ascii=False, indent=1)
        os.replace(file.name, self._path)
