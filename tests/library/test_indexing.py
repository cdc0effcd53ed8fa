"""A library follows its folder: after any change it holds what a new one of that folder holds."""

import io
import json
import os

import pytest
from PIL import Image
from tests.library.conftest import PLAIN, assert_same, index

from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion import Options
from chiasm.library import Library
from chiasm.library.config import FILE


def png(colour):
    into = io.BytesIO()
    Image.new("RGB", (61, 43), colour).save(into, "PNG")
    return into.getvalue()


def changes(report):
    return report.read, report.unchanged, report.moved, report.deleted


@pytest.fixture
def library(made, folder):
    found = made()
    report = index(found, folder)
    assert changes(report) == (4, 0, 0, 0) and report.skipped == report.notes == ()
    assert report.units == {"section": 2, "text": 2, "code": 1}
    return found


def assert_as_new(library, folder, made, options=PLAIN):
    """Nothing is left to do, and the library holds what one made now would hold."""
    report = index(library, folder, options)
    assert changes(report) == (0, report.unchanged, 0, 0)
    new = made(f"new {len(list(library.location.parent.iterdir()))}")
    index(new, folder, options)
    assert_same(library, new)


def test_nothing_changed(library, folder, made):
    before = (library.location / FILE).read_bytes()
    assert changes(index(library, folder)) == (0, 4, 0, 0)
    assert (library.location / FILE).read_bytes() == before
    assert_as_new(library, folder, made)


def test_new_changed_and_deleted_files(library, folder, made):
    (folder / "new.txt").write_text("A new file about bicycles.")
    (folder / "pumps.txt").write_text("The pump was sold.")
    (folder / "cats" / "black.md").unlink()
    assert changes(index(library, folder)) == (2, 2, 0, 1)
    assert_as_new(library, folder, made)


def test_same_size_and_time_but_other_bytes(library, folder, made):
    place = folder / "pumps.txt"
    before, words = place.stat(), place.read_text()
    place.write_text(words.replace("cellar", "garden"))
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changes(index(library, folder)) == (1, 3, 0, 0)
    assert_as_new(library, folder, made)


def test_touched_files_are_not_read_again(library, folder):
    os.utime(folder / "pumps.txt")
    assert changes(index(library, folder)) == (0, 4, 0, 0)


def test_moved_files_keep_what_was_made_of_them(library, folder, made, monkeypatch):
    (folder / "animals").mkdir()
    (folder / "cats" / "black.md").rename(folder / "animals" / "black.md")
    (folder / "pumps.txt").rename(folder / "old_pumps.txt")
    (folder / "fit.py").rename(folder / "cats" / "fit.py")
    embedded = []
    rows = library.vectors.rows
    monkeypatch.setattr(
        library.vectors, "rows", lambda units: embedded.extend(units) or rows(units)
    )
    assert changes(index(library, folder)) == (0, 1, 3, 0)
    # Only the title that was made of its name says something new.
    assert [unit.title for unit in embedded] == ["old pumps"]
    assert_as_new(library, folder, made)


def test_one_of_two_equal_files_moves(library, folder, made):
    (folder / "copy.txt").write_bytes((folder / "pumps.txt").read_bytes())
    assert changes(index(library, folder)) == (1, 4, 0, 0)
    (folder / "copy.txt").rename(folder / "again.txt")
    assert changes(index(library, folder)) == (0, 4, 1, 0)
    assert_as_new(library, folder, made)


def test_two_files_change_places(library, folder, made):
    (folder / "pumps.txt").rename(folder / "x")
    (folder / "cats" / "tabby.txt").rename(folder / "pumps.txt")
    (folder / "x").rename(folder / "cats" / "tabby.txt")
    assert changes(index(library, folder)) == (2, 2, 0, 0)
    assert_as_new(library, folder, made)


def test_a_file_that_breaks_is_forgotten_with_its_reason(library, folder, made):
    (folder / "pumps.txt").write_text("")
    report = index(library, folder)
    assert report.skipped == (("pumps.txt", "is empty"),)
    # Said again, though not read again.
    again = index(library, folder)
    assert again.skipped == report.skipped and changes(again) == (0, 4, 0, 0)
    assert_as_new(library, folder, made)


def test_a_page_follows_the_pictures_it_shows(library, folder, made):
    page = folder / "page.html"
    page.write_text("<p>See</p><img src=seen.png alt='a square'>")
    assert index(library, folder).notes == (("page.html", "its picture seen.png is not there"),)
    (folder / "seen.png").write_bytes(png("red"))
    assert changes(index(library, folder)) == (2, 4, 0, 0)
    (folder / "seen.png").write_bytes(png("blue"))
    assert changes(index(library, folder)) == (2, 4, 0, 0)
    assert_as_new(library, folder, made)
    (folder / "seen.png").unlink()
    assert changes(index(library, folder)) == (1, 4, 0, 1)
    assert_as_new(library, folder, made)


def test_other_options_read_the_files_again_that_they_matter_to(library, folder, made):
    (folder / "seen.png").write_bytes(png("red"))
    index(library, folder)
    both = Options(ocr=True)
    assert changes(index(library, folder, both)) == (1, 4, 0, 0)
    assert_as_new(library, folder, made, both)


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    library, folder, made, monkeypatch
):
    from chiasm.library import indexing

    readings = indexing.readings

    def disturbed(files, options, workers):
        for file, reading in readings(files, options, workers):
            (folder / "new.txt").write_text("second version")
            yield file, reading

    (folder / "new.txt").write_text("first version")
    monkeypatch.setattr(indexing, "readings", disturbed)
    report = index(library, folder)
    assert report.skipped == (("new.txt", "changed while it was read; index again"),)
    assert "new.txt" not in library.store.files()
    monkeypatch.undo()
    index(library, folder)
    assert library.store.files().keys() >= {"new.txt"}


def test_the_library_may_lie_in_the_folder(made, folder):
    library = made("folder/my library")
    assert changes(index(library, folder)) == (4, 0, 0, 0)
    assert changes(index(library, folder)) == (0, 4, 0, 0)


def test_one_library_one_folder_which_may_move(library, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Misuse, match=r"holds the files of .*folder, not of .*other"):
        index(library, other)
    assert len(library.store.files()) == 4
    folder.rename(tmp_path / "renamed")
    assert changes(index(library, tmp_path / "renamed")) == (0, 4, 0, 0)
    assert library.folder == (tmp_path / "renamed").resolve()


def test_readings_in_other_processes_are_the_same(made, folder):
    here, apart = made("here"), made("apart")
    index(here, folder)
    report = apart.index(folder, options=PLAIN, workers=2)
    assert changes(report) == (4, 0, 0, 0)
    assert_same(apart, here)


def test_opening_and_creating(tmp_path, made, folder):
    with pytest.raises(Misuse, match="holds no library"):
        Library.open(tmp_path / "nothing")
    library = made()
    with pytest.raises(Misuse, match="holds a library already"):
        made()
    with pytest.raises(Misuse, match="is not empty"):
        Library.create(folder)
    with pytest.raises(Misuse, match="no backend is called 'chroma'"):
        Library.create(tmp_path / "other", backend="chroma")
    with pytest.raises(Misuse, match="no such folder"):
        index(library, tmp_path / "missing")
    path = library.location / FILE
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "format": 99}))
    with pytest.raises(ChiasmError, match="is of format 99, and this chiasm reads 1"):
        Library.open(library.location)
    path.write_text("{")
    with pytest.raises(ChiasmError, match="cannot be read"):
        Library.open(library.location)


def test_a_journal_that_was_torn_or_lost_costs_only_time(library, folder, made):
    journal = library.location / "read.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines[:2], lines[2][:31]]))
    assert changes(index(library, folder)) == (2, 2, 0, 0)
    journal.unlink()
    assert changes(index(library, folder)) == (4, 0, 0, 0)
    assert_as_new(library, folder, made)
