"""A process that reads files for another one: `python -m chiasm.ingestion.worker`.

It is told files on its standard input and tells readings on its standard output, pickled; it ends
when the other process does. A file that crashes a decoder ends this process alone.
"""

import os
import sys
from multiprocessing.connection import Connection

from chiasm.ingestion.read import read


def main() -> None:
    """Read until there is nobody to read for."""
    told = Connection(os.dup(sys.stdin.fileno()), writable=False)
    tells = Connection(os.dup(sys.stdout.fileno()), readable=False)
    # What decoders print must not come between readings.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # Ready: from now on its time counts.
    tells.send(None)
    while True:
        try:
            file, options = told.recv()
            tells.send(read(file, options))
        except (EOFError, BrokenPipeError):
            return


if __name__ == "__main__":
    main()
