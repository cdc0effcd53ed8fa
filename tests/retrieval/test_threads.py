"""Work shared among threads: all of it, once each, and an error is not lost."""

import os

import pytest
import torch

from chiasm.retrieval.threads import each_on_a_thread


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 101])
def test_every_item_once(threads, count):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        done: list[int] = []
        each_on_a_thread(done.append, range(count))
        assert sorted(done) == list(range(count))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_an_error_is_raised_when_all_have_stopped():
    def work(item: int) -> None:
        if item == 3:
            raise ZeroDivisionError(f"item {item}")

    with pytest.raises(ZeroDivisionError, match="item 3"):
        each_on_a_thread(work, range(7))


def test_a_forked_process_starts_its_own_threads():
    each_on_a_thread(lambda _: None, range(7))
    child = os.fork()
    if not child:
        done: list[int] = []
        each_on_a_thread(done.append, range(7))
        os._exit(len(done))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
