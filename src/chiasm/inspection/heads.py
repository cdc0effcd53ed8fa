"""Which attention heads look at the picture, and how narrowly.

Unveiling Visual Perception in Language Models: An Attention Head Analysis Approach. Of head h, with
a its weights at the last prompt row and V the visual columns:

    w = sum_V a        the share of its attention that goes to the picture
    p = a_V / w
    c = 1 - H(p) / ln |V|        0: spread evenly over the picture; 1: on one token

The exact score of the paper was not available: here a head's score is the mean over samples of w c.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.inspection.ranks import spearman
from chiasm.inspection.subject import Subject
from chiasm.inspection.watching import watch

Head = tuple[int, int]
"""Layer and head, from 0; grouped queries count one by one."""


@dataclass(frozen=True, kw_only=True)
class Heads:
    """What every head does with every sample's picture."""

    weight: Float[Tensor, "sample layer head"]
    concentration: Float[Tensor, "sample layer head"]
    maps: Sequence[Float[Tensor, "layer head token"]]
    """w p of the first samples, tokens in the sequence's order."""

    @property
    def score(self) -> Float[Tensor, "layer head"]:
        """Mean over samples of w c."""
        return (self.weight * self.concentration).mean(0)

    def top(self, count: int) -> list[Head]:
        """The heads of the highest scores, the highest first."""
        order = self.score.flatten().argsort(descending=True, stable=True)[:count]
        width = self.score.shape[1]
        return [(int(at) // width, int(at) % width) for at in order]

    def late(self, count: int) -> list[Head]:
        """The heads of the last layers, the last first; within a layer the lowest score first."""
        depth, width = self.score.shape
        found = [
            (layer, int(head))
            for layer in reversed(range(depth))
            for head in self.score[layer].argsort(stable=True)
        ]
        return found[: min(count, depth * width)]

    def profile(self) -> list[float]:
        """Each layer's mean weight on the picture."""
        return self.weight.mean((0, 2)).tolist()

    def halves(self) -> tuple["Heads", "Heads"]:
        """Every second sample, and the others."""
        return tuple(  # type: ignore[return-value]
            Heads(
                weight=self.weight[start::2],
                concentration=self.concentration[start::2],
                maps=self.maps[start::2],
            )
            for start in (0, 1)
        )


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How far two sets of samples, or two tasks, agree on the heads."""

    rank_correlation: float
    """Spearman's, of the scores of all heads."""
    shared: float
    """The share of the top heads that both have."""


def stability(one: Heads, other: Heads, count: int) -> Stability:
    """Of the same model's heads on two sets of samples."""
    both = set(one.top(count)) & set(other.top(count))
    scores = one.score.flatten().tolist(), other.score.flatten().tolist()
    return Stability(rank_correlation=spearman(*scores), shared=len(both) / count)


def looks(
    weights: Float[Tensor, "batch head key"], visual: Bool[Tensor, "batch key"]
) -> tuple[Float[Tensor, "batch head"], Float[Tensor, "batch head"]]:
    """(w, c) of every head; a head that gives the picture nothing has c = 0, as one whose picture
    is a single token.
    """
    seen = weights.double() * visual.unsqueeze(1)
    w = seen.sum(-1)
    p = seen / w.clamp(min=torch.finfo(torch.float64).tiny).unsqueeze(-1)
    entropy = -torch.special.xlogy(p, p).sum(-1)
    most = visual.sum(-1).double().log().unsqueeze(1)
    c = 1 - entropy / most.clamp(min=torch.finfo(torch.float64).eps)
    return w, torch.where((w > 0) & (most > 0), c, torch.zeros_like(c)).clamp(0, 1)


def find_heads(subject: Subject, *, batch: int = 32, maps: int = 6) -> Heads:
    """Every head's looks at the pictures of the subject's questions."""
    weight: list[Tensor] = []
    concentration: list[Tensor] = []
    kept: list[Tensor] = []
    for asked in subject.batches(batch):
        layers, _ = watch(subject, asked)
        each = [looks(one.weights, one.visual) for one in layers]
        weight.append(torch.stack([w for w, _ in each], 1))
        concentration.append(torch.stack([c for _, c in each], 1))
        for at in range(min(len(asked.examples), maps - len(kept))):
            kept.append(torch.stack([one.weights[at][:, one.visual[at]] for one in layers]).cpu())
    return Heads(
        weight=torch.cat(weight).cpu(), concentration=torch.cat(concentration).cpu(), maps=kept
    )


def by_verdict(heads: Heads, right: Sequence[bool], count: int) -> dict[str, dict[str, float]]:
    """Mean weight and concentration of the top heads where the answer is right, and where wrong."""
    chosen = heads.top(count)
    found: dict[str, dict[str, float]] = {}
    for name, wanted in (("right", True), ("wrong", False)):
        at = [i for i, one in enumerate(right) if one is wanted]
        if at:
            found[name] = {
                "samples": len(at),
                "weight": fmean(float(heads.weight[at, la, h].mean()) for la, h in chosen),
                "concentration": fmean(
                    float(heads.concentration[at, la, h].mean()) for la, h in chosen
                ),
            }
    return found
