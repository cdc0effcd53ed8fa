"""Puts batches into a table and says after each that it is there.

    python -m tests.retrieval.putting LOCATION NAME BATCHES

By the name `maintain`, the table is maintained in between.
"""

import sys

import numpy as np
from tests.retrieval.stores import drawn

from chiasm.retrieval.lance import Lance

ROWS = 7


def main() -> None:
    location, name, batches = sys.argv[1:]
    store = Lance.open(location)
    generator = np.random.default_rng(17)
    for batch in range(int(batches)):
        store.put([drawn(generator, f"{name}-{batch}-{one}") for one in range(ROWS)])
        if name == "maintain" and batch % 3 == 2:
            store.maintain()
        print(batch, flush=True)


if __name__ == "__main__":
    main()
