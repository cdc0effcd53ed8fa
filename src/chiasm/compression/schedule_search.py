"""The search of VFlowOpt's schedule for a model: Bayesian, with Optuna's Gaussian-process sampler.

The paper's: 300 trials, the first 27 at random, over r_0, r_1, t in [0, 50], m in [3, 24] and
alpha in [-1, 1]; r_2 follows from the budget. What is maximised is the sum over samples of the
cosine between the last layer's states of the last row, in the full model and under the schedule.
Here every trial meets the budget: r_0 lies in [keep, 1.5 keep], as in the release, and r_1 between
the values at which r_2 would be 1 and 0, and above 8/15 where that can be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from chiasm.compression.method import HostShape, check_keep
from chiasm.compression.methods.vflowopt import VFlowOpt, stages_of
from chiasm.errors import Misuse

LEAST = 8 / 15
"""The release's lower bound of r_1."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What a search found."""

    method: VFlowOpt
    value: float
    """The objective's, of this method."""
    values: tuple[float, ...]
    """Of every trial, in turn."""


def search_schedule(
    objective: Callable[[VFlowOpt], float],
    *,
    keep: float,
    shape: HostShape,
    trials: int = 300,
    startup: int = 27,
    seed: int = 0,
) -> Schedule:
    """The best of `trials` schedules of this budget by `objective`, which is maximised.

    Raises:
        Misuse: Optuna is missing, there is nothing to search, or no share is given.
    """
    check_keep(keep)
    if trials < 1 or keep == 1:
        raise Misuse(f"{trials} trials at keep={keep:g}: nothing to search")
    optuna = _optuna()
    stages = stages_of(shape)

    def suggested(trial: Any) -> VFlowOpt:
        r_0 = trial.suggest_float("r_0", keep, min(1.0, 1.5 * keep))
        least, most = bounds(keep, r_0, stages, shape.depth)
        between = trial.suggest_float("r_1 between its bounds", 0, 1)
        return VFlowOpt(
            keep=keep,
            r_0=r_0,
            r_1=least + between * (most - least),
            threshold=trial.suggest_float("t", 0, 50),
            cell=trial.suggest_float("m", 3, 24),
            entropy=trial.suggest_float("alpha", -1, 1),
        )

    tried: list[tuple[float, VFlowOpt]] = []

    def judged(trial: Any) -> float:
        method = suggested(trial)
        tried.append((objective(method), method))
        return tried[-1][0]

    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
    optuna.create_study(direction="maximize", sampler=sampler).optimize(judged, n_trials=trials)
    value, method = max(tried, key=lambda one: one[0])
    return Schedule(method=method, value=value, values=tuple(value for value, _ in tried))


def bounds(keep: float, r_0: float, stages: tuple[int, int], depth: int) -> tuple[float, float]:
    """The r_1 at which r_2 is 1, at least 8/15, and the one at which it is nearly 0, at most 1."""
    first, second = stages
    left = keep * depth / r_0 - first
    all_later = left / (depth - first)
    none_later = 0.999 * left / (second - first) if second > first else 1.0
    most = min(1.0, none_later)
    return min(most, max(LEAST, all_later)), most


def agreement(full: Float[Tensor, "sample width"], pruned: Float[Tensor, "sample width"]) -> float:
    """Sum of the cosines between states of the last row; a state that is no number counts 0."""
    cosines = cosine_similarity(full.float(), pruned.float(), dim=-1)
    return float(cosines.nan_to_num(0.0).sum())


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise Misuse(
            "searching a schedule needs Optuna; install it with `pip install 'chiasm[tune]'`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
