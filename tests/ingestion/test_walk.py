"""What a folder holds: hidden files, links, pipes, names, and when a file is hashed again."""

import hashlib
import os

import pytest

from chiasm.errors import Misuse
from chiasm.ingestion import walk


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "folder"
    for path in ("b.txt", "a/c.txt", ".hidden", ".git/config", "a/.x/d.txt"):
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)
    return root


def paths(found):
    return [file.path for file in found.files]


def test_files_are_sorted_and_hidden_ones_left_out(folder):
    found = walk(folder)
    assert paths(found) == ["a/c.txt", "b.txt"] and found.skipped == ()
    assert found.files[0].sha256 == hashlib.sha256(b"a/c.txt").hexdigest()
    assert found.files[0].size == 7


def test_a_folder_inside_can_be_left_out(folder):
    assert paths(walk(folder, leave_out=[folder / "a"])) == ["b.txt"]


def test_links_out_of_the_folder_are_never_opened(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "s.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up.txt").symlink_to("../secret.txt")
    (folder / "outside").symlink_to(tmp_path / "secrets")
    (folder / "nothing").symlink_to("missing")
    (folder / "round").symlink_to("round")
    found = walk(folder)
    assert paths(found) == ["a/c.txt", "b.txt"]
    why = dict(found.skipped)
    assert {"out.txt", "up.txt", "outside"} == {p for p, r in why.items() if "out of" in r}
    assert why["nothing"] == why["round"] == "is a link to nothing"


def test_a_file_is_listed_once_however_many_links_lead_to_it(folder):
    (folder / "again.txt").symlink_to("b.txt")
    (folder / "a" / "up").symlink_to("..")
    (folder / "kept.txt").symlink_to(".git/config")
    (folder / "kept too.txt").symlink_to(".git/config")
    found = walk(folder)
    assert paths(found) == ["a/c.txt", "b.txt", "kept too.txt"]
    assert found.skipped == (("a/up", "is a link to a folder, which is read where it stands"),)


def test_what_is_no_plain_file_is_said_and_not_opened(folder):
    os.mkfifo(folder / "pipe")
    (folder.joinpath(os.fsdecode(b"caf\xe9.txt"))).write_text("x")
    found = walk(folder)
    assert paths(found) == ["a/c.txt", "b.txt"]
    assert dict(found.skipped) == {
        "pipe": "is a pipe",
        "caf\\udce9.txt": "its name is not UTF-8; rename it",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads everything")
def test_what_may_not_be_read_is_said(folder):
    (folder / "b.txt").chmod(0)
    found = walk(folder)
    assert paths(found) == ["a/c.txt"] and "permissions" in dict(found.skipped)["b.txt"]


def test_only_files_whose_stamp_changed_are_hashed_again(folder):
    known = {path: (stamp, "known") for path, stamp in walk(folder).stamps.items()}
    assert [file.sha256 for file in walk(folder, known=known).files] == ["known", "known"]
    place = folder / "b.txt"
    before = place.stat()
    place.write_text("B.txt")
    # As tools do that restore times: same size, same time of change.
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = [file.sha256 for file in walk(folder, known=known).files]
    assert again == ["known", hashlib.sha256(b"B.txt").hexdigest()]


def test_no_folder(folder):
    with pytest.raises(Misuse, match="no such folder"):
        walk(folder / "missing")
    with pytest.raises(Misuse, match="is not a folder"):
        walk(folder / "b.txt")
