"""Killed at any moment, an indexing that is begun again ends as if it had never been killed."""

import os
import random
import subprocess
import sys

import pytest
from tests.library.conftest import index

from chiasm.library import Library

KILLS = 10
# It imports and loads once; each trial is a fork, which opens the store, indexes and is killed.
SCRIPT = """
import os, random, signal, sys, time
import lancedb, torch
torch.set_num_threads(1)
from chiasm.ingestion import Options
from chiasm.library import Library
from chiasm.library.vectors import Vectors

folder, location, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
draw = random.Random(seed)
library = Library.open(location)
library.vectors
import chiasm.library.indexing as indexing
# Small writes, so that there are many moments between them.
indexing.ROWS = 2

def run(delay):
    pipe = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(pipe[1], b"!")
        library.index(folder, options=Options(ocr=False), workers=0)
        os._exit(0)
    os.close(pipe[1])
    assert os.read(pipe[0], 1), "the fork never began"
    os.close(pipe[0])
    began = time.monotonic()
    while time.monotonic() - began < delay:
        if os.waitpid(child, os.WNOHANG)[0]:
            print("finished", time.monotonic() - began, flush=True)
            return
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)

for _ in range(kills):
    run(draw.uniform(0.0, float(sys.argv[5])))
"""


@pytest.mark.slow
def test_killed_ten_times(made, folder, tmp_path):
    for number in range(23):
        (folder / f"file {number}.txt").write_text(f"What file {number} says.\n")
    (folder / "gone.txt").write_text("Soon gone.")
    killed, whole = made("killed"), made("whole")
    index(killed, folder)
    # Work of every sort is left: new, changed, moved and deleted files.
    (folder / "gone.txt").unlink()
    (folder / "file 3.txt").rename(folder / "cats" / "file 3.txt")
    (folder / "file 4.txt").rename(folder / "renamed.txt")
    for number in range(5, 20):
        (folder / f"file {number}.txt").write_text(f"What file {number} says now.\n")
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    killed.close()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, killed.location, str(KILLS), str(seed), "1.0"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.split()
    assert told.count("killed") >= KILLS // 2, told
    index(whole, folder)
    again = Library.open(killed.location)
    report = index(again, folder)
    assert_same(again, whole)
    assert report.files == 26 and index(again, folder).unchanged == 26
    again.close()
