"""Question 8, its other half: the stages in which the parts are taught."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage: which parts learn, how fast, for what share of the budget."""

    name: str
    trained: tuple[str, ...]
    """Parts that learn: encoder, connector, fusion, decoder, head. The others are frozen."""
    learning_rate: float
    share: float = 1.0
    """Share of the whole budget; the stages' shares sum to 1."""
    rates: tuple[tuple[str, float], ...] = ()
    """Learning-rate factor by part, 1 where not named."""
    batch: int = 32
    """Images (or texts) a step."""
    questions: int | None = None
    """Most independent questions of one image that a step teaches, rare answers likelier; None:
    all."""
    copies: bool = False
    """Whether the weights that an experts answer adds begin the stage as the host's own are."""
    unprompted: float = 0.0
    """Share of drawn pictures that are taught without their question, for guidance by text."""
    unseen: float = 0.0
    """Share of drawn pictures that are taught without the images of their question."""
    warmup: float = 0.05
    """Share of the stage's steps in linear warm-up."""
    schedule: str = "cosine"
    """cosine, linear or constant, to `floor` of the peak."""
    floor: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """The loss and the stages."""

    objective: Any
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        total = sum(stage.share for stage in self.stages)
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"the shares of {len(self.stages)} stages sum to {total:g}, not 1")
