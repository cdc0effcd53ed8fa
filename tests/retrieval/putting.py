"""Puts batches into a table until it is killed, and says after each that it is there.

python -m tests.retrieval.putting FOLDER maintain
"""

import sys

import numpy as np
from tests.retrieval.stores import drawn

from chiasm.retrieval.lance import Lance

ROWS = 7


def main() -> None:
    store = Lance.open(sys.argv[1])
    generator = np.random.default_rng(17)
    for batch in range(100_000):
        store.put([drawn(generator, f"{batch}-{one}") for one in range(ROWS)])
        if sys.argv[2] == "maintain" and batch % 5 == 4:
            store.maintain()
        print(batch, flush=True)


if __name__ == "__main__":
    main()
