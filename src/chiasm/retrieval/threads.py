"""Work on as many threads as torch has, each of which computes on one.

Torch divides one operation among its threads, and they meet after each; where a scorer makes many
short operations in a row, waiting for one another costs as much as the work.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")


def each_on_a_thread(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Calls `work` once an item, in no order, without gradients; an error of any is raised."""
    count = torch.get_num_threads()
    left = iter(list(items))

    # A list's iterator gives each item once, whoever asks; a future an item would wake the caller
    # as often.
    @torch.inference_mode()
    def drain() -> None:
        for item in left:
            work(item)

    if count == 1:
        drain()
        return
    started = [_pool(count).submit(drain) for _ in range(count)]
    wait(started)
    for done in started:
        done.result()


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "scoring", initializer=lambda: torch.set_num_threads(1))


# A forked process has none of its parent's threads: it must start its own.
os.register_at_fork(after_in_child=_pool.cache_clear)
