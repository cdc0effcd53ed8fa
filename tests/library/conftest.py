"""A small folder, a library of it, and all that a library holds."""

import pytest
from tests.cli.conftest import checkpoint  # noqa: F401

from chiasm.embedders.named import named
from chiasm.ingestion import Options
from chiasm.library import Library
from chiasm.library.vectors import Vectors
from chiasm.retrieval.where import Compare

PLAIN = Options(ocr=False)


@pytest.fixture(scope="session")
def minilm():
    return named("minilm")


@pytest.fixture(scope="session")
def vectors(minilm):
    return Vectors(minilm)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "folder"
    for path, text in {
        "pumps.txt": "The heating pump stands in the cellar.\n",
        "cats/tabby.txt": "A tabby cat sleeps on the warm wall.\n",
        "cats/black.md": "# Black cats\n\nThey hunt at night.\n\n## Food\n\nMice.\n",
        "fit.py": "def fit(model):\n    return model\n",
    }.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


@pytest.fixture
def made(tmp_path, minilm, monkeypatch):
    """`made(name)`: an empty library; the embedder is loaded once for all tests."""
    monkeypatch.setattr("chiasm.library.library.named", lambda name: minilm)
    opened = []

    def make(name="library"):
        opened.append(Library.create(tmp_path / name, embedder="minilm"))
        return opened[-1]

    yield make
    for library in opened:
        library.close()


def index(library, folder, options=PLAIN):
    return library.index(folder, options=options, workers=0)


def held(library):
    """Every row by id: the unit and its vectors, as bytes."""
    rows = library.store.select(Compare("path", "!=", ""))
    return {
        row.unit.id: (
            row.unit,
            None if row.words is None else row.words.round(4).tobytes(),
            None if row.picture is None else row.picture.round(4).tobytes(),
        )
        for row in rows
    }
