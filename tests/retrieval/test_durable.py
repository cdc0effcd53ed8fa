"""What was acknowledged outlives a killed process and a torn newest version."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.retrieval.putting import ROWS
from tests.retrieval.stores import drawn

from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.durable import Durable
from chiasm.retrieval.lance import Lance, Tuning
from chiasm.retrieval.where import parse

ROOT = Path(__file__).parents[2]
FEW = Tuning(exact_below=20, interacting_below=10)


def rows(count, seed, name="u"):
    generator = np.random.default_rng(seed)
    return [drawn(generator, f"{name}{one}") for one in range(count)]


def manifests(folder):
    return sorted((folder / "units.lance" / "_versions").glob("*.manifest"))


@pytest.fixture
def synced(monkeypatch):
    """Inodes of what was fsynced."""
    seen: set[int] = set()
    real = os.fsync

    def observed(handle):
        seen.add(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", observed)
    return seen


def unsynced(folder, synced):
    found = [folder, folder / "units.lance", *(folder / "units.lance").rglob("*")]
    return [one for one in found if one.stat().st_ino not in synced]


def test_every_new_file_and_folder_is_on_the_disk_when_a_write_returns(tmp_path, synced):
    store = Lance.open(tmp_path / "library", tuning=FEW)
    assert unsynced(tmp_path / "library", synced) == []
    steps = (
        lambda: store.put(rows(31, 3)),
        lambda: store.put(rows(7, 5)),
        lambda: store.delete(parse("type=pdf")),
        store.maintain,
        lambda: store.put(rows(11, 7, "v")),
    )
    for step in steps:
        before = set((tmp_path / "library").rglob("*"))
        step()
        assert set((tmp_path / "library").rglob("*")) - before
        assert unsynced(tmp_path / "library", synced) == []


def test_files_of_another_process_are_settled_before_a_version_rests_on_them(
    tmp_path, synced, monkeypatch
):
    careless = Lance.open(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Durable, "settle", lambda self: None)
        careless.put(rows(5, 3))
    assert unsynced(tmp_path, synced)
    Lance.open(tmp_path)
    assert unsynced(tmp_path, synced) == []


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_torn_newest_version_is_set_aside(tmp_path, kept):
    store = Lance.open(tmp_path)
    store.put(rows(5, 3))
    store.put(rows(11, 5, "v"))
    store.close()
    newest = manifests(tmp_path)[0]
    os.truncate(newest, int(newest.stat().st_size * kept))
    with pytest.warns(UserWarning, match=r"1 unfinished version\(s\) set aside in .*damaged"):
        store = Lance.open(tmp_path)
    assert store.count() == 5
    assert (tmp_path / "units.lance" / "damaged" / newest.name).exists()
    store.put(rows(11, 5, "v"))
    store.maintain()
    assert Lance.open(tmp_path).count() == 16


def test_what_cannot_be_healed_is_told(tmp_path):
    Lance.open(tmp_path / "a").put(rows(5, 3))
    for path in manifests(tmp_path / "a"):
        os.truncate(path, 0)
    with pytest.raises(ChiasmError, match="no version of the table can be read"):
        Lance.open(tmp_path / "a")
    (tmp_path / "b").write_text("no folder")
    with pytest.raises(Misuse, match="is a file"):
        Lance.open(tmp_path / "b")


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path):
    """kill -9 among puts and maintenance: what it told of is whole, the next is whole or absent."""
    program = [sys.executable, "-m", "tests.retrieval.putting"]
    command = [*program, str(tmp_path), "maintain", "9999"]
    source = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    writer = subprocess.Popen(command, cwd=ROOT, env=source, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(7)]
    time.sleep(0.013)
    writer.kill()
    acknowledged += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    store = Lance.open(tmp_path)
    ids = store.table.search().select(["id"]).to_arrow()["id"].to_pylist()
    batches = Counter(int(one.split("-")[1]) for one in ids)
    assert set(batches.values()) == {ROWS} and len(set(ids)) == len(ids)
    assert list(range(acknowledged[-1] + 1)) == acknowledged
    assert set(acknowledged) <= set(batches) <= {*acknowledged, acknowledged[-1] + 1}
    assert len(store.units(ids)) == len(ids)
    store.put(rows(3, 3))
    store.maintain()
    assert store.count() == len(ids) + 3
