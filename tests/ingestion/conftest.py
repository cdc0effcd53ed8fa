"""Files of a folder, as readers are given them."""

import hashlib
from pathlib import Path

import pytest

from chiasm.ingestion import File, Options, read


@pytest.fixture
def made(tmp_path):
    """`made(path, bytes or text)` writes a file into the folder and gives it as the walk would."""
    root = tmp_path.resolve() / "folder"

    def make(path: str, data: bytes | str) -> File:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        content = data.encode() if isinstance(data, str) else data
        place.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return File(root=root, path=path, sha256=sha256, size=len(content))

    return make


@pytest.fixture
def plainly():
    """Without words on pictures and without speech."""
    return Options(ocr=False)


@pytest.fixture
def units(made, plainly):
    """`units(path, data)`: what a file is read as, nothing being wrong with it."""

    def found(path: str, data: bytes | str):
        reading = read(made(path, data), plainly)
        assert not reading.notes, reading.notes
        return reading.units

    return found


@pytest.fixture
def said() -> Path:
    """A synthetic voice: two sentences about a pump, 7 s."""
    return Path(__file__).parent / "said.ogg"
