"""Re-routing at test time: a sample's experts are weighed anew by neighbours that went well."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import Misuse

NeighbourLoss = Callable[[Tensor, Tensor], Tensor]
"""The losses `[neighbour]` of the references of an index `[neighbour]` under one routing
`[expert]`, with a gradient to the routing."""


@dataclass(frozen=True)
class References:
    """Samples that were answered rightly: what they are found by, and how they were routed."""

    keys: Float[Tensor, "reference width"]
    routings: Float[Tensor, "reference expert"]

    def near(
        self, key: Float[Tensor, " width"], count: int
    ) -> tuple[Int[Tensor, " neighbour"], Float[Tensor, " neighbour"]]:
        """The `count` references with the greatest cosine to `key`, and K(x, x_i) / sum K, where K
        is the cosine, at least 0; equal shares where no cosine is above 0.
        """
        self._check(count)
        alike = torch.nn.functional.cosine_similarity(self.keys, key.unsqueeze(0))
        best, index = alike.topk(count)
        kernel = best.clamp(min=0)
        return index, _shares(kernel)

    def near_in_routing(
        self, routing: Float[Tensor, " expert"], count: int, bandwidth: float
    ) -> tuple[Int[Tensor, " neighbour"], Float[Tensor, " neighbour"]]:
        """The `count` references routed most like this, and K / sum K of the Gaussian kernel
        exp(-|r - r_i|^2 / 2 h^2).
        """
        self._check(count)
        apart = (self.routings - routing).square().sum(-1)
        least, index = apart.topk(count, largest=False)
        # The nearest one's distance cancels; without it all kernels could underflow.
        return index, _shares((-(least - least.min()) / (2 * bandwidth**2)).exp())

    def _check(self, count: int) -> None:
        if count > len(self.keys):
            raise Misuse(
                f"{count} neighbours are asked for among {len(self.keys)} references; gather more "
                "samples, or ask for fewer"
            )


class Rerouting(Protocol):
    """A way from one routing to another."""

    def reroute(
        self,
        routing: Float[Tensor, " expert"],
        key: Float[Tensor, " width"],
        references: References,
        loss: NeighbourLoss,
    ) -> Float[Tensor, " expert"]:
        """The new routing, on the simplex where the old one is; the old one is left alone."""
        ...


@dataclass(frozen=True, kw_only=True)
class NeighbourhoodDescent:
    """r <- r - eta grad_r sum_i K(x, x_i) l(f(x_i; r), y_i) / sum_i K, then back onto the simplex
    (R2-T2, arXiv 2502.20395, neighbourhood gradient descent).

    Steps are Adam's, their rate falling from `first_rate` to `last_rate` along a cosine.
    """

    neighbours: int = 5
    steps: int = 10
    first_rate: float = 1e-2
    last_rate: float = 1e-5

    @property
    def passes(self) -> int:
        """Forward passes of single references that one sample costs; a backward counts as two."""
        return 3 * self.steps * self.neighbours

    def reroute(
        self, routing: Tensor, key: Tensor, references: References, loss: NeighbourLoss
    ) -> Float[Tensor, " expert"]:
        index, shares = references.near(key, self.neighbours)
        r = routing.detach().clone().requires_grad_()
        adam = torch.optim.Adam([r], lr=self.first_rate)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(self.steps, 1), self.last_rate)
        for _ in range(self.steps):
            with torch.enable_grad():
                judged = (shares * loss(r, index)).sum()
                (r.grad,) = torch.autograd.grad(judged, r)
            adam.step()
            rate.step()
            with torch.no_grad():
                r.copy_(onto_simplex(r))
        return r.detach()


@dataclass(frozen=True, kw_only=True)
class KernelRegression:
    """r <- a r^ + (1 - a) r with r^ = sum_i K(x, x_i) r_i / sum_i K; a is the one of `shares` at
    which the neighbours' loss is least, the first of equals (R2-T2, arXiv 2502.20395).
    """

    neighbours: int = 5
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)

    @property
    def passes(self) -> int:
        return len(self.shares) * self.neighbours

    @torch.no_grad()
    def reroute(
        self, routing: Tensor, key: Tensor, references: References, loss: NeighbourLoss
    ) -> Float[Tensor, " expert"]:
        index, kernel = references.near(key, self.neighbours)
        mean = kernel @ references.routings[index]
        tried = [torch.lerp(routing, mean, share) for share in self.shares]
        judged = torch.stack([(kernel * loss(r, index)).sum() for r in tried])
        return tried[int(judged.argmin())]


@dataclass(frozen=True, kw_only=True)
class ModeFinding:
    """r <- k r_ + (1 - k) r, `steps` times, where r_ is the Gaussian mean of the references routed
    most like r (R2-T2, arXiv 2502.20395, mean shift): no loss is asked for.
    """

    neighbours: int = 5
    steps: int = 10
    keep: float = 0.5
    """k, the share of the mean."""
    bandwidth: float = 0.3

    @property
    def passes(self) -> int:
        return 0

    @torch.no_grad()
    def reroute(
        self, routing: Tensor, key: Tensor, references: References, loss: NeighbourLoss
    ) -> Float[Tensor, " expert"]:
        r = routing
        for _ in range(self.steps):
            index, kernel = references.near_in_routing(r, self.neighbours, self.bandwidth)
            r = torch.lerp(r, kernel @ references.routings[index], self.keep)
        return r


def onto_simplex(r: Float[Tensor, " expert"]) -> Float[Tensor, " expert"]:
    """The nearest point with parts of at least 0 that sum to 1: max(r - t, 0) with the one such t.

    A point that is on the simplex already moves by rounding only.
    """
    falling = r.sort(descending=True).values
    count = torch.arange(1, len(r) + 1, device=r.device, dtype=r.dtype)
    threshold = (falling.cumsum(0) - 1) / count
    held = int((falling > threshold).sum())
    return (r - threshold[held - 1]).clamp(min=0)


def _shares(kernel: Float[Tensor, " neighbour"]) -> Float[Tensor, " neighbour"]:
    total = kernel.sum()
    return torch.where(total > 0, kernel / total, torch.full_like(kernel, 1 / len(kernel)))
