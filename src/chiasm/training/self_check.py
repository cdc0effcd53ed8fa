"""After a stage's first step: every part that should learn has moved, every other has not."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.data import Dataset
from chiasm.errors import ChiasmError, Misuse
from chiasm.model import part_of
from chiasm.spec import Stage

_MEDIA = ("encoder", "connector", "fusion")
"""Parts that a batch without images does not reach."""
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Fingerprint:
    """The sum of every tensor's bits read as integers: a single flipped bit changes it."""

    sums: dict[str, int]

    @classmethod
    def of(cls, model: nn.Module) -> "Fingerprint":
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        return cls({name: _sum(tensor) for name, tensor in tensors.items()})

    def moved(self, after: "Fingerprint") -> set[str]:
        """Names of the tensors that differ."""
        return {name for name, value in self.sums.items() if after.sums[name] != value}


def refuse_blind(stage: Stage, dataset: Dataset) -> None:
    """Raise Misuse for a stage that learns from images alone, on data that has none."""
    if set(stage.trained) <= set(_MEDIA) and not any(example.images for example in dataset):
        raise Misuse(
            f"stage {stage.name!r} teaches only {', '.join(stage.trained)}, but none of the "
            f"{len(dataset):,} samples of {dataset.name} has an image; add images"
        )


def check(model: nn.Module, before: Fingerprint, *, images: bool, stage: str) -> None:
    """Compare with the fingerprint `before` the step.

    `images` says whether the step had any: without, the parts on their way need not have moved.
    Raises ChiasmError naming the part (and tensor) that stood still or moved.
    """
    moved = before.moved(Fingerprint.of(model))
    trained: set[str] = set()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            trained.add(part_of(name))
    for name in sorted(moved):
        if part_of(name) not in trained:
            raise ChiasmError(
                f"stage {stage!r}: {name} is frozen but the first step changed it; "
                f"no further step was taken"
            )
    still = trained - {part_of(name) for name in moved}
    for part in sorted(still - (set() if images else set(_MEDIA))):
        raise ChiasmError(
            f"stage {stage!r} teaches the {part}, but the first step moved none of its "
            f"parameters: the loss does not depend on them; freeze it or connect it"
        )


def _sum(tensor: Tensor) -> int:
    bits = tensor.detach().contiguous().view(_BITS[tensor.element_size()])
    return int(bits.sum(dtype=torch.int64))
