"""Branched multi-task networks: which tasks share which layers of an encoder (arXiv 2008.10292)."""

from chiasm.branching.blocks import Block, Encoder, Task
from chiasm.branching.branched import Branched, extracted
from chiasm.branching.expected_cost import drawn, expected_cost, expected_cost_slowly, reached
from chiasm.branching.partitions import Partition, induced, meet, partitions, refines
from chiasm.branching.supergraph import Supergraph
from chiasm.branching.tree import Tree

__all__ = [
    "Block",
    "Branched",
    "Encoder",
    "Partition",
    "Supergraph",
    "Task",
    "Tree",
    "drawn",
    "expected_cost",
    "expected_cost_slowly",
    "extracted",
    "induced",
    "meet",
    "partitions",
    "reached",
    "refines",
]
