"""Scaling laws: how loss falls with parameters and tokens, fitted and solved for a budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, log
from random import Random

import numpy as np
import torch
from torch import Tensor

from chiasm.errors import Misuse

FLOPS_A_PAIR = 6.0
"""FLOPs of training a parameter on a token: C = 6 N D, N the parameters that a token passes."""
DELTA = 1e-3
"""Where Huber's loss turns from square to absolute, in log loss (Hoffmann et al.)."""
_LEAST = 1e-300
"""A term of a law that a fit has taken to nothing."""
_MOST_LOG = 700.0
"""Above which a term, of a fit that found no law, is no number any more."""


@dataclass(frozen=True, kw_only=True)
class ScalingLaw:
    """L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al., arXiv 2203.15556, equation 2)."""

    floor: float
    """E: the loss that is left with everything."""
    parameters: float
    """A."""
    alpha: float
    tokens: float
    """B."""
    beta: float

    def loss(self, n: float, d: float) -> float:
        """Loss of N parameters after D tokens."""
        terms = ((self.parameters, self.alpha, n), (self.tokens, self.beta, d))
        logs = (log(max(at, _LEAST)) - exponent * log(size) for at, exponent, size in terms)
        return self.floor + sum(exp(min(term, _MOST_LOG)) for term in logs)

    @property
    def falls(self) -> bool:
        """Whether more parameters and more tokens both help."""
        return min(self.alpha, self.beta, self.parameters, self.tokens) > 0

    @property
    def parameter_exponent(self) -> float:
        """a of N* ~ C^a."""
        return self.beta / (self.alpha + self.beta)

    @property
    def token_exponent(self) -> float:
        """b of D* ~ C^b; a + b = 1."""
        return self.alpha / (self.alpha + self.beta)

    def best(self, flops: float) -> tuple[float, float]:
        """N* and D* of the least loss with 6 N D = C:
        N* = (alpha A / beta B)^(1 / (alpha + beta)) (C / 6)^a.

        Raises:
            Misuse: the loss does not fall with both.
        """
        if not self.falls:
            raise Misuse(
                f"a loss that changes with N^-{self.alpha:g} and D^-{self.beta:g} has no best "
                "sizes; fit it to more of them"
            )
        pairs, both = flops / FLOPS_A_PAIR, self.alpha + self.beta
        ratio = (self.alpha * self.parameters) / (self.beta * self.tokens)
        n = ratio ** (1 / both) * pairs**self.parameter_exponent
        return n, pairs / n


@dataclass(frozen=True, kw_only=True)
class Run:
    """One point of a grid."""

    n: float
    """Parameters that a token passes."""
    d: float
    """Tokens."""
    loss: float


def fit(runs: Sequence[Run], *, near: ScalingLaw | None = None) -> ScalingLaw:
    """The law with the least Huber loss of log L over the runs, the best of a grid of starts:

        min sum_i huber(logsumexp(a - alpha log N_i, b - beta log D_i, e) - log L_i)

    by L-BFGS in double precision, E = exp(e), A = exp(a), B = exp(b). With `near`, that law is the
    only start (a bootstrap's resamples).

    Raises Misuse for fewer than six runs, or sizes or tokens that do not vary.
    """
    if len(runs) < 6:
        raise Misuse(f"{len(runs)} runs do not decide five constants; measure at least 6")
    for name, values in (("N", {r.n for r in runs}), ("D", {r.d for r in runs})):
        if len(values) < 2:
            raise Misuse(f"all runs have one {name}; vary it to learn what it does")
    fitted = [_from(start, runs) for start in ([near] if near else _starts(runs))]
    return min(fitted, key=lambda found: found[1])[0]


def bootstrap(
    runs: Sequence[Run], law: ScalingLaw, *, resamples: int = 200, seed: int = 0
) -> list[ScalingLaw]:
    """Laws of so many resamples of the runs, with replacement, each fitted from `law`.

    A resample whose sizes or tokens do not vary is drawn again.
    """
    draw, laws = Random(seed), list[ScalingLaw]()
    while len(laws) < resamples:
        again = draw.choices(runs, k=len(runs))
        if len({r.n for r in again}) > 1 and len({r.d for r in again}) > 1:
            laws.append(fit(again, near=law))
    return laws


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The middle `confidence` of bootstrap values: (low, high)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(values), [tail, 1 - tail])
    return float(low), float(high)


def _starts(runs: Sequence[Run]) -> list[ScalingLaw]:
    """For each alpha, beta and E of a grid, the A and B that fit the losses by least squares."""
    n, d, loss = (np.array([getattr(r, name) for r in runs]) for name in ("n", "d", "loss"))
    starts = []
    for alpha, beta, share in product((0.1, 0.3, 0.6, 1.0), (0.1, 0.3, 0.6, 1.0), (0.1, 0.5, 0.9)):
        floor = share * loss.min()
        columns = np.stack([n**-alpha, d**-beta], 1)
        (a, b), *_ = np.linalg.lstsq(columns / loss[:, None], (loss - floor) / loss, rcond=None)
        least = 1e-3 * loss.min()
        a, b = max(a, least * n.min() ** alpha), max(b, least * d.min() ** beta)
        law = ScalingLaw(floor=floor, parameters=a, alpha=alpha, tokens=b, beta=beta)
        starts.append((_huber_of(law, runs), law))
    starts.sort(key=lambda start: start[0])
    return [law for _, law in starts[:6]]


def _huber_of(law: ScalingLaw, runs: Sequence[Run]) -> float:
    off = [abs(log(law.loss(r.n, r.d)) - log(r.loss)) for r in runs]
    return sum(x * x / 2 if x <= DELTA else DELTA * (x - DELTA / 2) for x in off)


def _from(start: ScalingLaw, runs: Sequence[Run]) -> tuple[ScalingLaw, float]:
    """Where L-BFGS comes to from a start, and the Huber loss there."""
    log_n, log_d, log_loss = (
        torch.tensor([log(getattr(r, name)) for r in runs], dtype=torch.float64)
        for name in ("n", "d", "loss")
    )
    # Terms at the middle of the grid, not A and B, are what is learned: they hardly depend on the
    # exponents.
    mid_n, mid_d = float(log_n.mean()), float(log_d.mean())
    first = [
        log(max(start.floor, _LEAST)),
        log(max(start.parameters, _LEAST)) - start.alpha * mid_n,
        start.alpha,
        log(max(start.tokens, _LEAST)) - start.beta * mid_d,
        start.beta,
    ]
    x = torch.tensor(first, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [x],
        max_iter=1000,
        tolerance_grad=1e-13,
        tolerance_change=1e-16,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        e, a, alpha, b, beta = x
        terms = torch.stack(
            [a - alpha * (log_n - mid_n), b - beta * (log_d - mid_d), e.expand_as(log_n)]
        )
        off = terms.logsumexp(0) - log_loss
        # Scaled to order one, so that the solver's tolerances mean something.
        return torch.nn.functional.huber_loss(off / DELTA, torch.zeros_like(off))

    def step() -> Tensor:
        solver.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    solver.step(step)
    e, a, alpha, b, beta = x.tolist()
    with torch.no_grad():
        left = float(objective())
    law = ScalingLaw(
        floor=exp(e),
        parameters=exp(a + alpha * mid_n),
        alpha=alpha,
        tokens=exp(b + beta * mid_d),
        beta=beta,
    )
    return law, left
