"""Teaching a policy that must work from any exit (DeeR-VLA, arXiv 2411.02359, section 3.3)."""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.decoding.early_exit import exit_layers, pooled
from chiasm.model import Model
from chiasm.stream import Inputs


class Judges(Protocol):
    def judge_actions(
        self, pose: Tensor, grip: Tensor, pose_right: Tensor, closed: Tensor
    ) -> Tensor: ...


def exit_features(model: Model, inputs: Inputs) -> Float[Tensor, "exit batch width"]:
    """What the policy would read at every exit, from one pass."""
    run = model.decoder.begin(model.stream(inputs))
    found: list[Tensor] = []
    for layer in exit_layers(model):
        model.decoder.stack.advance(run, layer + 1)
        found.append(pooled(run.restored(run.hidden), inputs.table))
    return torch.stack(found)


def independent(
    samples: int, steps: int, exits: int, generator: torch.Generator
) -> Int[Tensor, "sample step"]:
    """S1: an exit for every step by itself."""
    return torch.randint(exits, (samples, steps), generator=generator)


def two_spans(
    samples: int, steps: int, exits: int, generator: torch.Generator
) -> Int[Tensor, "sample step"]:
    """S2: one exit for a prefix of random length, another for the rest."""
    cut = torch.randint(steps + 1, (samples, 1), generator=generator)
    both = torch.randint(exits, (samples, 2), generator=generator)
    return torch.where(torch.arange(steps) < cut, both[:, :1], both[:, 1:])


def exit_loss(
    objective: Judges,
    policy: nn.Module,
    auxiliary: Sequence[nn.Module],
    features: Float[Tensor, "exit sample step width"],
    pose: Float[Tensor, "sample step 6"],
    closed: Float[Tensor, "sample step"],
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """The shared policy on features of exits drawn by S1 and by S2, and at each exit a policy of
    its own, all with weight 1. The auxiliary policies are dropped after training.
    """
    exits, samples, steps, _ = features.shape
    if len(auxiliary) != exits:
        raise ValueError(f"{len(auxiliary)} auxiliary policies given for {exits} exits")
    rows, columns = torch.arange(samples).unsqueeze(1), torch.arange(steps)
    mixed = [
        features[draw(samples, steps, exits, generator), rows, columns]
        for draw in (independent, two_spans)
    ]
    pairs = [*((policy, each) for each in mixed), *zip(auxiliary, features, strict=True)]
    losses: list[Tensor] = []
    for head, read in pairs:
        said, _ = head(read)
        losses.append(objective.judge_actions(said.pose, said.grip, pose, closed))
    return torch.stack(losses).sum()
