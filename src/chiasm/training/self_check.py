"""After a stage's first steps: every part that should learn has moved, every other has not."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.data import Dataset
from chiasm.errors import ChiasmError, Misuse
from chiasm.model import part_of
from chiasm.spec import Stage

_MEDIA = ("encoder", "connector", "fusion")
"""Parts that a batch without images does not reach."""
SETTLED = 3
"""Steps after which every trained part must have moved."""
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


class SelfCheck:
    """Watches a stage's first steps; call `after_step` until it is `done`.

    Frozen parts are compared after the first step, trained ones after the third: what lies behind
    a gate of zero gets its first gradient once the gate has moved.
    """

    def __init__(self, model: nn.Module, stage: Stage) -> None:
        self._model, self._stage = model, stage
        self._before = Fingerprint.of(model)
        self._steps = self._with_images = 0

    @property
    def done(self) -> bool:
        return self._steps >= SETTLED

    def after_step(self, *, images: bool) -> None:
        """Raise ChiasmError naming a part (and tensor) that moved or stood still wrongly.

        `images` says whether the step had any: parts on their way are not expected to move without.
        """
        self._steps += 1
        self._with_images += images
        if 1 < self._steps < SETTLED:
            return
        moved = self._before.moved(Fingerprint.of(self._model))
        trained = {part_of(n) for n, p in self._model.named_parameters() if p.requires_grad}
        self._refuse_thaw(moved, trained)
        if self.done:
            self._refuse_standstill(moved, trained)

    def _refuse_thaw(self, moved: set[str], trained: set[str]) -> None:
        for name in sorted(moved):
            if part_of(name) not in trained:
                raise ChiasmError(
                    f"stage {self._stage.name!r}: {name} is frozen but step {self._steps} of the "
                    f"stage had changed it; the run was stopped"
                )

    def _refuse_standstill(self, moved: set[str], trained: set[str]) -> None:
        expected = trained if self._with_images > 1 else trained - set(_MEDIA)
        for part in sorted(expected - {part_of(name) for name in moved}):
            raise ChiasmError(
                f"stage {self._stage.name!r} teaches the {part}, but {self._steps} steps moved "
                f"none of its parameters: the loss does not depend on them; freeze it or connect it"
            )


def _sum(tensor: Tensor) -> int:
    bits = tensor.detach().contiguous().view(_BITS[tensor.element_size()])
    return int(bits.sum(dtype=torch.int64))
