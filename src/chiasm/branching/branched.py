"""A branched network: one block for each group of tasks of its tree."""

import copy
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.branching.blocks import Encoder, InvertedResidual, Task, heads, stem
from chiasm.branching.supergraph import Supergraph
from chiasm.branching.tree import Tree
from chiasm.errors import Misuse


class Branched(nn.Module):
    """The tree's blocks, each run once, and a head for each task."""

    def __init__(self, encoder: Encoder, tasks: Sequence[Task], tree: Tree) -> None:
        super().__init__()
        if len(tree.layers) != len(encoder.blocks) or len(tree.layers[0]) != len(tasks):
            raise Misuse(
                f"the tree has {len(tree.layers)} layers of {len(tree.layers[0])} tasks, the "
                f"network {len(encoder.blocks)} blocks and {len(tasks)} tasks"
            )
        self.encoder, self.tasks, self.tree = encoder, tuple(tasks), tree
        self.stem = stem(encoder)
        self.blocks = nn.ModuleList(
            nn.ModuleList(InvertedResidual(block, affine=True) for _ in range(count))
            for block, count in zip(encoder.blocks, tree.branches, strict=True)
        )
        self.heads = heads(encoder, self.tasks)

    def forward(
        self, images: Float[Tensor, "batch 3 side side"]
    ) -> list[Float[Tensor, "batch class_ side side"]]:
        """Scores of every task."""
        before, maps = (0,) * len(self.tasks), [self.stem(images)]
        for groups, each in zip(self.tree.layers, self.blocks, strict=True):
            blocks = cast(nn.ModuleList, each)
            # Groups only part, so any task of a group names the map that it reads.
            sources = [before[groups.index(group)] for group in range(len(blocks))]
            maps = [block(maps[at]) for block, at in zip(blocks, sources, strict=True)]
            before = groups
        return [head(maps[group]) for head, group in zip(self.heads, before, strict=True)]


@torch.no_grad()
def extracted(supergraph: Supergraph) -> Branched:
    """The likeliest branches of a supergraph, with its weights.

    Gives what the supergraph gives when every task uses its likeliest copy. Where groups that were
    parted before use one copy, each gets its own.
    """
    tree = Tree.of(supergraph.alpha)
    found = Branched(supergraph.encoder, supergraph.tasks, tree).to(supergraph.alpha.device)
    found.stem, found.heads = copy.deepcopy(supergraph.stem), copy.deepcopy(supergraph.heads)
    picked = supergraph.alpha.argmax(-1).tolist()
    for at, groups in enumerate(tree.layers):
        copies = supergraph.get_submodule(f"blocks.{at}")
        for group in range(len(set(groups))):
            source = copies.get_submodule(str(picked[at][groups.index(group)]))
            # The copy's last norm has no factors; those of the branch start at one and zero.
            found.get_submodule(f"blocks.{at}.{group}").load_state_dict(
                source.state_dict(), strict=False
            )
    return found.train(supergraph.training)
