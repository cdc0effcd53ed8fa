"""What a comparison found out about one system."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chiasm.evaluation.interval import wilson
from chiasm.evaluation.predict import Prediction


@dataclass(frozen=True, kw_only=True)
class Score:
    """Right answers of so many, with Wilson's 95% interval."""

    right: int
    count: int

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> "Score":
        return cls(right=sum(p.right for p in predictions), count=len(predictions))

    @property
    def accuracy(self) -> float:
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.count)

    def beats(self, other: "Score") -> bool:
        """Whether the intervals are disjoint, this one above."""
        return self.interval[0] > other.interval[1]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One system's row: size, cost, speed, accuracy, and how it was taught."""

    system: str
    score: Score
    parameters: int
    parameters_trained: int
    visual_tokens: int
    text_tokens: int
    prefill_flops: int
    """LLaVA-family convention, at the data's median image and question."""
    kv_bytes: int
    prefill_ms: float
    """Median, systems measured in turn in one run, batch 1."""
    peak_bytes: int
    """Highest live tensor bytes of that prefill, weights included."""
    samples: int
    seconds: float
    """Time spent in training steps."""
    seed: int

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds

    def record(self, **shared: Any) -> dict[str, Any]:
        """The object of report.json; `shared` holds what all systems have in common."""
        low, high = self.score.interval
        own = {key: value for key, value in asdict(self).items() if key != "score"}
        return {
            **own,
            "accuracy": self.score.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "questions": self.score.count,
            "samples_per_second": self.samples_per_second,
            **shared,
        }
