"""The network in which branches are searched: a copy of every block for every task."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.branching.blocks import Encoder, InvertedResidual, Task, heads, stem


class Supergraph(nn.Module):
    """T copies O_j of each of L blocks; task t mixes what they make of its own map:

        x_t <- sum over j of w_j O_j(x_t),    w = GumbelSoftmax(alpha_l[t, :], temperature)

    (arXiv 2008.10292, section 3.2). A forward pass runs L T^2 blocks.
    """

    def __init__(self, encoder: Encoder, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.encoder, self.tasks = encoder, tuple(tasks)
        count = len(self.tasks)
        self.alpha = nn.Parameter(torch.zeros(len(encoder.blocks), count, count))
        self.stem = stem(encoder)
        self.blocks = nn.ModuleList(
            nn.ModuleList(InvertedResidual(block, affine=False) for _ in self.tasks)
            for block in encoder.blocks
        )
        self.heads = heads(encoder, self.tasks)

    def weights(self) -> list[nn.Parameter]:
        """Everything that learns but the branching."""
        return [value for name, value in self.named_parameters() if name != "alpha"]

    def draw(self, temperature: float) -> Float[Tensor, "layer task copy"]:
        """Mixing weights, from torch's generator; the colder, the nearer to one copy each."""
        return F.gumbel_softmax(self.alpha, tau=temperature)

    def own(self) -> Float[Tensor, "layer task copy"]:
        """Mixing weights with which every task uses its own copy."""
        return torch.eye(len(self.tasks)).to(self.alpha).expand_as(self.alpha)

    def chosen(self) -> Float[Tensor, "layer task copy"]:
        """Mixing weights with which every task uses its likeliest copy."""
        return F.one_hot(self.alpha.argmax(-1), len(self.tasks)).to(self.alpha)

    def forward(
        self, images: Float[Tensor, "batch 3 side side"], mixing: Float[Tensor, "layer task copy"]
    ) -> list[Float[Tensor, "batch class_ side side"]]:
        """Scores of every task."""
        first, *rest = (cast(nn.ModuleList, copies) for copies in self.blocks)
        entered = self.stem(images)
        # All tasks read the same pictures, so each copy of the first block runs once.
        made = torch.stack([copy(entered) for copy in first])
        maps = list(torch.einsum("tj,j...->t...", mixing[0], made))
        for copies, weights in zip(rest, mixing[1:], strict=True):
            maps = [_mixed(copies, x, own) for x, own in zip(maps, weights, strict=True)]
        return [head(x) for head, x in zip(self.heads, maps, strict=True)]


def _mixed(copies: nn.ModuleList, x: Tensor, weights: Float[Tensor, " copy"]) -> Tensor:
    """sum of w_j O_j(x); a copy of weight zero adds nothing, so it is not run."""
    used = [(w, copy) for w, copy in zip(weights, copies, strict=True) if w != 0]
    return torch.stack([w * copy(x) for w, copy in used]).sum(0)
