"""Convolutions over a view's grid of tokens, each view's own where others beside it are larger."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.tiled_patches import laid_out, own_grids
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Features, Tokens

Maps = Float[Tensor, "view channel row column"]


def over_grids(features: Features, run: Callable[[Maps], Maps]) -> Tokens:
    """What `run` makes of each view's map, in reading order: no neighbour is padding.

    `[view, row * column, width]` to `[view, token, out]`, padded at the end where views differ.
    """
    maps = features.tokens.transpose(1, 2).unflatten(2, features.grid)
    if features.valid is None:
        out = run(maps)
        return Tokens(_lines(out), None, (out.shape[-2], out.shape[-1]))
    grids = own_grids(features)
    views = [run(one[None, :, :r, :c]) for one, (r, c) in zip(maps, grids, strict=True)]
    return laid_out([_lines(view)[0] for view in views])


def _lines(maps: Maps) -> Float[Tensor, "view token channel"]:
    return maps.flatten(2).transpose(1, 2)


class ChannelNorm(nn.LayerNorm):
    """A LayerNorm over the channels of every place."""

    def forward(self, input: Maps) -> Maps:
        places = input.movedim(1, -1)
        return super().forward(places).movedim(-1, 1)


class SqueezeExcite(nn.Module):
    """x * gate(W2 act(W1 mean x)): channels weighed by their means over the map (arXiv 1709.01507).

    `hidden` units between.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        act: Callable[[Tensor], Tensor],
        gate: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.act, self.gate = act, gate
        self.squeeze, self.excite = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, maps: Maps) -> Maps:
        weights = self.gate(self.excite(self.act(self.squeeze(maps.mean((2, 3))))))
        return maps * weights[..., None, None]


def depthwise(channels: int, stride: int = 1, *, bias: bool) -> nn.Conv2d:
    """Every channel by itself, 3 x 3, a ring of zeros around."""
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=bias)


def pointwise(channels: int, out: int) -> nn.Conv2d:
    """Every place by itself."""
    return nn.Conv2d(channels, out, 1, bias=False)


def depthwise_work(name: str, tokens: int, channels: int) -> Work:
    """Multiply-adds of a depthwise convolution that gives so many tokens."""
    return linear("connector", name, tokens, 9, channels)


def squeeze_work(channels: int, hidden: int) -> Work:
    """Multiply-adds of the two matrices that weigh channels, once a view."""
    return linear("connector", "channel weights", 1, channels, 2 * hidden)
