"""Killed at any moment, an indexing that is begun again ends as if it had never been killed."""

import os
import random
import subprocess
import sys

import pytest
from tests.library.conftest import assert_same, index

from chiasm.library import Library

KILLS = 10
# It imports and loads once; each trial is a fork, which opens the store, indexes and is killed.
# Before each, files are made, changed, moved and deleted, so that work of every sort is left.
SCRIPT = """
import os, pathlib, random, signal, sys, time
import lancedb, torch
torch.set_num_threads(1)
from chiasm.ingestion import Options
from chiasm.library import Library
import chiasm.library.indexing as indexing

folder, location, kills, seed = pathlib.Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
draw = random.Random(seed)
library = Library.open(location)
library.vectors
# Small writes, so that there are many moments between them.
indexing.ROWS = 2

def disturb(turn):
    for number in range(5):
        (folder / f"new {turn} {number}.txt").write_text(f"What {number} says in turn {turn}.")
    files = sorted(folder.glob("*.txt"))
    one, other, third = draw.sample(files, 3)
    one.write_text(f"Changed in turn {turn}.")
    other.rename(folder / "cats" / f"moved {turn}.txt")
    third.unlink()

def killed(delay):
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
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True

count = turn = 0
while count < kills and turn < 4 * kills:
    disturb(turn)
    count += killed(draw.uniform(0.0, 0.5))
    turn += 1
print(count)
"""


@pytest.mark.slow
def test_killed_ten_times(made, folder):
    killed, whole = made("killed"), made("whole")
    index(killed, folder)
    killed.close()
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, killed.location, str(KILLS), str(seed)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == KILLS
    index(whole, folder)
    again = Library.open(killed.location)
    report = index(again, folder)
    assert_same(again, whole)
    assert report.skipped == () and index(again, folder).unchanged == report.files
    again.close()
