"""Which channels a model can best lose, searched while it learns (UPop, arXiv 2301.13741)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils import parametrize

from chiasm.errors import Misuse
from chiasm.layers import Kind, Masked, Vectors
from chiasm.model import Model
from chiasm.pruning import Place, places
from chiasm.spec import Stage
from chiasm.stream import Inputs
from chiasm.training.freezing import freeze
from chiasm.training.optimiser import clip, optimiser, set_rate


@dataclass(frozen=True, kw_only=True)
class UnifiedPruning:
    """Masks a, one a vector, without an optimiser: the gradients of

        task + penalties[attention] sum |a| + penalties[feed-forward] sum |a|

    are added up from the first step on. Every `every` steps they are standardised within attention
    and within feed-forwards, pooled and ranked; the vectors whose removal promises most, as many as
    reach the share p_t of all weights, are shrunk to 1 - p_t / `share`, the others go back to 1.
    """

    share: float = 0.5
    """Of the prunable weights, to be removed."""
    every: int = 50
    attention_penalty: float = 4.8e-3
    feed_forward_penalty: float = 2e-4

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise Misuse(f"a share of {self.share} cannot be removed; give one between 0 and 1")
        if self.every < 1:
            raise Misuse(f"masks change every {self.every} steps; give at least 1")

    def penalty(self, kind: Kind) -> float:
        return {
            Kind.ATTENTION: self.attention_penalty,
            Kind.FEED_FORWARD: self.feed_forward_penalty,
        }[kind]


def share_at(step: int, steps: int, share: float) -> float:
    """p_t = p sqrt((1 - cos(pi (t + 1) / T)) / 2): from nearly nothing to `share` at the end."""
    return share * math.sqrt((1 - math.cos(math.pi * (step + 1) / steps)) / 2)


def shrinking(
    gradients: Sequence[Float[Tensor, " channel"]], vectors: Sequence[Vectors], share: float
) -> list[Bool[Tensor, " channel"]]:
    """Which vectors shrink: the highest standardised gradients, until `share` of all weights."""
    scores = [torch.zeros_like(one) for one in gradients]
    for kind in {one.kind for one in vectors}:
        members = [at for at, one in enumerate(vectors) if one.kind is kind]
        pooled = torch.cat([gradients[at] for at in members])
        mean, deviation = pooled.mean(), pooled.std(correction=0).clamp_min(1e-30)
        for at in members:
            scores[at] = (gradients[at] - mean) / deviation
    weights = torch.cat([torch.full((one.count,), float(one.weight)) for one in vectors])
    order = torch.cat(scores).cpu().argsort(descending=True, stable=True)
    before = weights[order].cumsum(0) - weights[order]
    chosen = torch.zeros(len(order), dtype=torch.bool)
    chosen[order] = before < share * weights.sum() * (1 - 1e-9)
    return list(chosen.split([one.count for one in vectors]))


class Masks:
    """The masks of a model, applied to the weights that make their channels."""

    def __init__(self, model: Model, pruning: UnifiedPruning) -> None:
        self.vectors: Mapping[Place, Vectors] = places(model)
        self.pruning = pruning
        self.masks: dict[Place, Tensor] = {}
        for place, one in self.vectors.items():
            mask = torch.ones(one.count, device=model.device, requires_grad=True)
            self.masks[place] = mask
            for layer, heads in one.made:
                parametrize.register_parametrization(layer, "weight", Masked(mask, heads))
                if layer.bias is not None:
                    parametrize.register_parametrization(layer, "bias", Masked(mask, heads))

    def penalty(self) -> Float[Tensor, ""]:
        """What the masks add to the loss."""
        parts = [
            self.pruning.penalty(place[2]) * mask.abs().sum() for place, mask in self.masks.items()
        ]
        return torch.stack(parts).sum()

    @torch.no_grad()
    def shrink(self, share: float) -> None:
        """Rank by the gradients so far; shrink the chosen vectors, give the others back."""
        gradients = [
            torch.zeros_like(mask) if mask.grad is None else mask.grad
            for mask in self.masks.values()
        ]
        chosen = shrinking(gradients, list(self.vectors.values()), share)
        left = 1 - share / self.pruning.share
        for mask, gone in zip(self.masks.values(), chosen, strict=True):
            mask.copy_(torch.where(gone.to(mask.device), left, 1.0))

    def remove(self) -> dict[Place, Tensor]:
        """Multiply the masks into the weights for good; the channels that are left, by place."""
        for one in self.vectors.values():
            for layer, _ in one.made:
                for name in ("weight", "bias"):
                    if parametrize.is_parametrized(layer, name):
                        parametrize.remove_parametrizations(layer, name)
        return {place: mask.detach().nonzero().flatten() for place, mask in self.masks.items()}


def unified_search(
    model: Model,
    batches: Iterable[Inputs],
    steps: int,
    *,
    stage: Stage,
    pruning: UnifiedPruning | None = None,
) -> dict[Place, Tensor]:
    """Teach `model` for `steps` batches while its masks are searched; what to keep, by place.

    Afterwards the channels that are not kept are zero in `model`; `chiasm.pruning.sliced` removes
    them, which changes nothing that the model gives. The parts that `stage` teaches learn.
    """
    pruning = pruning or UnifiedPruning()
    if steps < 1:
        raise Misuse(f"a search of {steps} steps finds nothing; give at least 1")
    freeze(model, stage.trained)
    adam = optimiser(model, stage)
    masks = Masks(model, pruning)
    try:
        for step, inputs in zip(range(steps), batches, strict=False):
            set_rate(adam, stage, step / steps)
            adam.zero_grad(set_to_none=True)
            (model.losses(inputs.to(model.device)).total + masks.penalty()).backward()
            clip(adam, stage.clip)
            adam.step()
            if (step + 1) % pruning.every == 0 or step + 1 == steps:
                masks.shrink(share_at(step, steps, pruning.share))
    finally:
        kept = masks.remove()
    return kept
