"""The resource loss: exact expected FLOPs of a network whose branches are still drawn.

Task t draws its copy at layer l from p_l[t, :] = softmax(alpha_l[t, :]), by itself. Q_l(k) is the
probability that these draws part the tasks as k. Branches never re-merge: a drawn partition counts
where it refines the one before, and otherwise all tasks are held apart, which refines any:

    P_l(k) = Q_l(k) sum of P_{l-1}(m) over all m that k refines,    and what is left goes to "apart"
    cost   = sum over l and k of P_l(k) |k| FLOPs_l

(arXiv 2008.10292, section 3.3). Intersecting the drawn groups instead, as the final network does,
parts fewer tasks, so this bounds its cost from above.
"""

from functools import cache
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.branching.partitions import Partition, induced, partitions, refines


def drawn(p: Float[Tensor, "layer task copy"]) -> Float[Tensor, "layer partition"]:
    """Q: probability of every partition by the draws of one layer alone."""
    layers, tasks, copies = p.shape
    joint = p.new_ones(layers, 1)
    for task in range(tasks):
        joint = (joint.unsqueeze(-1) * p[:, task].unsqueeze(1)).flatten(1)
    held = p.new_zeros(layers, len(partitions(tasks)))
    return held.index_add(1, _of_choices(tasks, copies).to(p.device), joint)


def reached(p: Float[Tensor, "layer task copy"]) -> Float[Tensor, "layer partition"]:
    """P: probability that each layer ends up with every partition, the ones before considered."""
    tasks = p.shape[1]
    coarser = _coarser(tasks).to(p)
    # Behind the input every task still shares everything.
    before = p.new_zeros(coarser.shape[0])
    before[0] = 1.0
    found: list[Tensor] = []
    for own in drawn(p):
        counted = own * (coarser @ before)
        rest = 1 - counted.sum()
        before = torch.cat([counted[:-1], counted[-1:] + rest])
        found.append(before)
    return torch.stack(found)


def expected_cost(
    p: Float[Tensor, "layer task copy"], flops: Float[Tensor, " layer"]
) -> Float[Tensor, ""]:
    """FLOPs of the blocks, in the unit of `flops`: those of one copy of each layer's block."""
    sizes = torch.tensor([len(set(k)) for k in partitions(p.shape[1])]).to(p)
    return (reached(p) @ sizes * flops).sum()


def expected_cost_slowly(
    p: Float[Tensor, "layer task copy"], flops: Float[Tensor, " layer"]
) -> Float[Tensor, ""]:
    """The same, by walking every draw of every layer."""
    layers, tasks, copies = p.shape
    total = p.new_zeros(())

    def walk(layer: int, before: Partition, chance: Tensor) -> None:
        nonlocal total
        if layer == layers:
            return
        for choices in product(range(copies), repeat=tasks):
            own = induced(choices)
            own = own if refines(own, before) else tuple(range(tasks))
            here = chance
            for task, copy in enumerate(choices):
                here = here * p[layer, task, copy]
            total = total + here * len(set(own)) * flops[layer]
            walk(layer + 1, own, here)

    walk(0, (0,) * tasks, p.new_ones(()))
    return total


@cache
def _of_choices(tasks: int, copies: int) -> Int[Tensor, " choice"]:
    """The number of the partition of every choice of copies, the last task's running fastest."""
    numbers = {partition: at for at, partition in enumerate(partitions(tasks))}
    return torch.tensor([numbers[induced(one)] for one in product(range(copies), repeat=tasks)])


@cache
def _coarser(tasks: int) -> Float[Tensor, "partition coarser"]:
    """1 where the row's partition refines the column's."""
    every = partitions(tasks)
    return torch.tensor([[float(refines(fine, coarse)) for coarse in every] for fine in every])
