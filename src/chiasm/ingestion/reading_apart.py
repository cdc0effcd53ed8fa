"""Many files read in several processes, so that none can take the others down."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from chiasm.ingestion.read import read
from chiasm.ingestion.reading import File, Options, Reading

PATIENCE = 600.0
"""Seconds that a file may take, and one more for every `PACE` of its bytes."""
PACE = 50_000


def readings(
    files: Sequence[File], options: Options, workers: int
) -> Iterator[tuple[File, Reading]]:
    """Every file's reading, as they are ready; with no worker they are read here, one by one.

    A file at which a process dies, or that takes too long, has that said of it.
    """
    if not workers:
        yield from ((file, read(file, options)) for file in files)
        return
    waiting = list(reversed(files))
    working: dict[Connection, _Worker] = {}
    try:
        for _ in range(min(workers, len(files))):
            worker = _Worker(waiting.pop(), options)
            working[worker.tells] = worker
        while working:
            soonest = min(worker.until for worker in working.values())
            left = None if soonest == math.inf else max(0.0, soonest - time.monotonic())
            ready = wait(list(working), timeout=left)
            late = [one for one in working.values() if one.until <= time.monotonic()]
            for worker in [working[one] for one in ready if isinstance(one, Connection)] or late:
                file = worker.file
                reading = worker.reading() if worker.tells in ready else worker.given_up()
                if reading is None:
                    continue
                if worker.alive and waiting:
                    worker.give(waiting.pop(), options)
                else:
                    del working[worker.tells]
                    worker.end()
                    if waiting:
                        new = _Worker(waiting.pop(), options)
                        working[new.tells] = new
                yield file, reading
    finally:
        for worker in working.values():
            worker.end()


class _Worker:
    """One process and the file that it reads."""

    def __init__(self, file: File, options: Options) -> None:
        source = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        # Each has a core to itself; libraries that take all of them would wait for each other.
        alone = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chiasm.ingestion.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **alone},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._told = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self.tells = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()
        self.alive = True
        self.ready = False
        self.give(file, options)

    def give(self, file: File, options: Options) -> None:
        self.file = file
        self._begin()
        try:
            self._told.send((file, options))
        except BrokenPipeError:
            # It has died already; `reading` will find out.
            return

    def _begin(self) -> None:
        """How long it may take; starting takes as long as it takes."""
        spent = PATIENCE + self.file.size / PACE
        self.until = time.monotonic() + spent if self.ready else math.inf

    def reading(self) -> Reading | None:
        """What it tells; None when it has only just become ready."""
        try:
            told = self.tells.recv()
            if told is None:
                self.ready = True
                self._begin()
            return told
        except (EOFError, OSError):
            self.alive = False
            return Reading(notes=(f"its reader died ({self._how()}): not read",))

    def given_up(self) -> Reading:
        self.alive = False
        return Reading(notes=("takes too long to read: given up",))

    def end(self) -> None:
        self._told.close()
        self.tells.close()
        self._process.kill()
        self._process.wait()

    def _how(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "killed, perhaps for want of memory"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
