"""Partitions of tasks into groups that share a block."""

from collections.abc import Hashable, Sequence
from functools import cache

Partition = tuple[int, ...]
"""The group of each task, groups numbered by their first task: a partition has one spelling."""


def induced(choices: Sequence[Hashable]) -> Partition:
    """The partition in which tasks of the same choice stand together."""
    numbers: dict[Hashable, int] = {}
    return tuple(numbers.setdefault(choice, len(numbers)) for choice in choices)


@cache
def partitions(tasks: int) -> tuple[Partition, ...]:
    """All of them, Bell's number, from one group to every task by itself."""
    found: list[Partition] = [()]
    for _ in range(tasks):
        found = [(*one, group) for one in found for group in range(len(set(one)) + 1)]
    return tuple(sorted(found, key=lambda one: (len(set(one)), one)))


def refines(fine: Partition, coarse: Partition) -> bool:
    """Whether every group of `fine` lies within one of `coarse`; a partition refines itself."""
    return len(set(zip(fine, coarse, strict=True))) == len(set(fine))


def meet(one: Partition, other: Partition) -> Partition:
    """The coarsest partition that refines both: tasks stay together only where both keep them."""
    return induced(list(zip(one, other, strict=True)))
