"""Several encoders of one picture, each weighed by how much the question is about what it sees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.shares import widths_of
from chiasm.errors import Misuse
from chiasm.spec import Connector, Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class WeighedEncoders:
    """`each` of [E r_1 f_1; …; E r_E f_E], where r weighs E encoders for a picture and a question:

        r = softmax(W [mean of f; mean of the question's words] + c),

    means over the picture's tokens and over the host's embeddings of the prompt. W and c start at
    zero, so that r is 1 / E and a fresh connector is `each` over encoders side by side. What
    `Asked.routing` holds stands in for r (R2-T2, arXiv 2502.20395, re-routes at test time).

    `shares` are the encoders' parts of the features' width, in proportion.
    """

    each: Connector
    shares: tuple[int, ...]
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return True

    @property
    def browses(self) -> bool:
        return bool(getattr(self.each, "browses", False))

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width, host_width)

    def build(self, width: int, host_width: int) -> "Weighed":
        widths, each = widths_of(self.shares, width), self.each.build(width, host_width)
        return Weighed(widths, cast(nn.Module, each), host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.each.work(grid, width, host_width)

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        router = linear("connector", "router", 1, width + host_width, len(self.shares))
        if not self.each.conditioned:
            return (router,)
        each: Any = self.each
        return router, *each.asked_work(grid, width, host_width, text)


class Weighed(nn.Module):
    """`[image, token, sum of widths]` to what `each` makes of the weighed features."""

    owner: Tensor
    """Which encoder each channel is of."""

    def __init__(self, widths: tuple[int, ...], each: nn.Module, host_width: int) -> None:
        super().__init__()
        self.each, self.host_width = each, host_width
        self.router = nn.Linear(sum(widths) + host_width, len(widths))
        nn.init.zeros_(self.router.weight)
        nn.init.zeros_(self.router.bias)
        owner = [expert for expert, width in enumerate(widths) for _ in range(width)]
        self.register_buffer("owner", torch.tensor(owner), persistent=False)

    @property
    def experts(self) -> int:
        """Encoders side by side."""
        return self.router.out_features

    def weights(
        self, features: Features, asked: Asked | None = None
    ) -> Float[Tensor, "image expert"]:
        """r of every picture, by the router."""
        tokens = features.tokens
        seen = _mean(tokens, features.valid)
        heard = tokens.new_zeros(len(tokens), self.host_width)
        if asked is not None:
            heard = _mean(asked.embeddings.to(tokens.dtype), asked.valid)
        return self.router(torch.cat([seen, heard], -1)).float().softmax(-1).to(tokens.dtype)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Raises Misuse where the routing that stands in weighs another number of encoders."""
        given = None if asked is None else asked.routing
        if given is not None and given.shape[-1] != self.experts:
            raise Misuse(
                f"the routing weighs {given.shape[-1]} experts, but {self.experts} encoders stand "
                "side by side; give each of them a weight"
            )
        r = self.weights(features, asked) if given is None else given.to(features.tokens.dtype)
        scale = (self.experts * r)[:, self.owner].unsqueeze(1)
        weighed = replace(features, tokens=features.tokens * scale)
        return cast("Connects", self.each).connect(weighed, asked)


def _mean(rows: Tensor, valid: Tensor | None) -> Float[Tensor, "image width"]:
    """Over the valid rows; zeros where there is none."""
    if valid is None:
        return rows.mean(1)
    held = valid.unsqueeze(-1).to(rows.dtype)
    return (rows * held).sum(1) / held.sum(1).clamp(min=1)
