"""How long a run teaches: minutes, samples or FLOPs, divided among its stages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.data.order import Order
from chiasm.errors import Misuse
from chiasm.spec import Stage


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Exactly one of the three is given."""

    minutes: float | None = None
    """Time spent on steps; writing checkpoints is not counted."""
    samples: int | None = None
    """Examples taught, repeats counted."""
    flops: float | None = None
    """Floating-point operations of forward and backward passes, 1 MAC = 2 FLOPs."""

    def __post_init__(self) -> None:
        given = {k: v for k, v in self.entries().items() if v is not None}
        if len(given) != 1:
            named = " and ".join(given) or "none"
            raise Misuse(f"a budget is one of minutes, samples or flops, but {named} was given")
        (kind, amount), *_ = given.items()
        if not (amount > 0 and math.isfinite(amount)):
            raise Misuse(f"a budget of {amount:g} {kind} teaches nothing; give more than 0")

    def entries(self) -> dict[str, float | None]:
        """All three by name, as stored with a run."""
        return {"minutes": self.minutes, "samples": self.samples, "flops": self.flops}

    @property
    def seconds(self) -> float | None:
        return None if self.minutes is None else 60 * self.minutes


def steps_for(samples: float, count: int, batch: int) -> int:
    """The fewest steps, at least one, after which `samples` examples were seen."""
    epochs, rest = divmod(math.ceil(samples), count)
    return max(1, epochs * Order(count).steps(batch) + math.ceil(rest / batch))


@dataclass(frozen=True)
class Place:
    """Where a run stands: the stage, the steps done in it, and the share of it that is done."""

    stage: int
    step: int
    progress: float
    """Of the stage, in [0, 1]."""


@dataclass(frozen=True)
class Course:
    """The stages' shares of the budget, and their lengths in steps where those are fixed."""

    shares: tuple[float, ...]
    steps: tuple[int, ...] | None
    """None when time decides."""

    def stage_at(self, progress: float) -> int:
        """The stage that teaches at `progress` of the whole run."""
        end = 0.0
        for stage, share in enumerate(self.shares[:-1]):
            end += share
            if progress < end:
                return stage
        return len(self.shares) - 1

    def within(self, stage: int, progress: float) -> float:
        """Share of the stage that is done at `progress` of the whole run."""
        return min(max((progress - sum(self.shares[:stage])) / self.shares[stage], 0.0), 1.0)

    def progress(self, stage: int, step: int) -> float:
        """Share of the whole run done before this step of the stage, where lengths are fixed."""
        if self.steps is None:
            raise ValueError("a course by time has no fixed lengths")
        return sum(self.shares[:stage]) + self.shares[stage] * step / self.steps[stage]


def course(stages: Sequence[Stage], steps: Sequence[int] | None) -> Course:
    """The course of these stages; `steps` are their lengths, None for a budget of minutes."""
    shares = tuple(stage.share for stage in stages)
    if min(shares, default=0.0) <= 0:
        raise Misuse(f"every stage needs a share of the budget above 0, not {min(shares):g}")
    return Course(shares, None if steps is None else tuple(steps))
