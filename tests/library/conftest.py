"""A small folder, a library of it, and whether two libraries hold the same."""

import numpy as np
import pytest
from tests.cli.conftest import checkpoint  # noqa: F401

from chiasm.embedders.named import named
from chiasm.ingestion import Options
from chiasm.library import Library
from chiasm.library.vectors import Vectors
from chiasm.retrieval.store import Column
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


def assert_same(one, other):
    """Two libraries hold equal units, and vectors that differ by rounding at most."""
    theirs = {row.unit.id: row for row in _rows(other)}
    ours = {row.unit.id: row for row in _rows(one)}
    assert {name: row.unit for name, row in ours.items()} == {
        name: row.unit for name, row in theirs.items()
    }
    for name, row in ours.items():
        for column in Column:
            mine, wanted = getattr(row, column), getattr(theirs[name], column)
            assert (mine is None) == (wanted is None)
            if mine is not None:
                # Batches of other lengths round otherwise.
                np.testing.assert_allclose(mine, wanted, atol=1e-5)


def _rows(library):
    rows = library.store.select(Compare("path", "!=", ""))
    assert len({row.unit.id for row in rows}) == len(rows)
    return rows
