"""Early exit: a stack runs layer by layer until two exits in a row agree (DeeR-VLA, arXiv
2411.02359).

Every sample of a batch leaves for itself; the stack stops when the last has left. Layers behind it
do not run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.backbone import Run
from chiasm.decoding.generate import last_rows
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.stream import TEXT, Inputs, TokenTable
from chiasm.stream.table import take

State = tuple[Tensor, Tensor]


class _Exits(Protocol):
    def exits(self, depth: int) -> tuple[int, ...]: ...


def exit_layers(model: Model) -> tuple[int, ...]:
    """The layers behind which a model's answers place exits."""
    return cast(_Exits, model.answers.compression).exits(model.decoder.stack.depth)


@dataclass(frozen=True)
class Proposal:
    """What an exit would give."""

    compared: Float[Tensor, "batch number"]
    """What has to agree with the exit before."""
    given: tuple[Tensor, ...]
    """What leaves with a sample; the batch comes first."""


@dataclass(frozen=True)
class Left:
    """What each sample left with, where, and how far exits differed from those before."""

    given: tuple[Tensor, ...]
    exit: Int[Tensor, " batch"]
    """Number of the exit, counted from 0."""
    distances: Float[Tensor, "batch exit"]
    """Of the exits that ran."""
    layers: int
    """Layers that ran."""


def climb(
    model: Model,
    inputs: Inputs,
    thresholds: Sequence[float],
    propose: Callable[[Run], Proposal],
) -> Left:
    """Run to the first exit i with rms(proposal_i - proposal_{i-1}) <= eta_i, sample by sample.

    The first exit is compared with the layer just before it; at the last everything leaves.
    """
    exits = exit_layers(model)
    if len(thresholds) != len(exits):
        raise Misuse(f"{len(thresholds)} thresholds given for {len(exits)} exits; give one an exit")
    run, stack = model.decoder.begin(model.stream(inputs)), model.decoder.stack
    stack.advance(run, exits[0])
    before = propose(run)
    given = before.given
    place = torch.full((inputs.ids.shape[0],), -1, device=inputs.ids.device)
    distances: list[Tensor] = []
    for number, (layer, threshold) in enumerate(zip(exits, thresholds, strict=True)):
        stack.advance(run, layer + 1)
        now = propose(run)
        distances.append((now.compared - before.compared).square().mean(-1).sqrt())
        leaves = (place < 0) & ((distances[-1] <= threshold) | (layer == exits[-1]))
        place = torch.where(leaves, number, place)
        given = tuple(_where(leaves, new, old) for new, old in zip(now.given, given, strict=True))
        before = now
        if bool((place >= 0).all()):
            break
    return Left(given, place, torch.stack(distances, 1), run.layer)


def pooled(hidden: Float[Tensor, "batch token width"], table: TokenTable) -> Tensor:
    """The maximum over each sample's text rows, `[batch, width]`."""
    text = (TEXT.select(table) & table.valid).unsqueeze(-1)
    return hidden.masked_fill(~text, torch.finfo(hidden.dtype).min).amax(1)


@dataclass(frozen=True)
class Acted:
    """One step of control."""

    pose: Float[Tensor, "batch 6"]
    closed: Tensor
    """`[batch]`, whether the gripper closes."""
    left: Left


class EarlyActing:
    """Control step by step. Exits that are tried read the state of the step before; only what
    the exit that is taken makes of it is kept.
    """

    def __init__(self, model: Model, thresholds: Sequence[float]) -> None:
        self.model, self.thresholds = model, tuple(thresholds)
        self.state: State | None = None
        """Of the policy, `[layer, batch, width]`; None before an episode's first step."""

    @torch.inference_mode()
    def step(self, inputs: Inputs) -> Acted:
        """The next action of every sample's episode."""
        policy = cast(Any, self.model.head).action

        def propose(run: Run) -> Proposal:
            features = pooled(run.restored(run.hidden), inputs.table)
            said, (hidden, cell) = policy(features.unsqueeze(1), self.state)
            pose = said.pose[:, 0]
            return Proposal(
                pose, (pose, said.grip[:, 0], hidden.transpose(0, 1), cell.transpose(0, 1))
            )

        left = climb(self.model, inputs, self.thresholds, propose)
        pose, grip, hidden, cell = left.given
        self.state = hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous()
        return Acted(pose, grip > 0, left)


@torch.inference_mode()
def next_scores(model: Model, inputs: Inputs, thresholds: Sequence[float]) -> Left:
    """Scores of the id that follows each prompt `[batch, vocabulary]`, from the first exit whose
    probabilities agree with those of the exit before.

    Rows that left early have no keys behind their exit: nothing is cached.
    """
    ends = last_rows(inputs.table)

    def propose(run: Run) -> Proposal:
        scores = model.scores(take(model.decoder.finish(run), ends)[:, 0])
        return Proposal(scores.float().softmax(-1), (scores,))

    return climb(model, inputs, thresholds, propose)


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (new.dim() - 1)), new, old)
