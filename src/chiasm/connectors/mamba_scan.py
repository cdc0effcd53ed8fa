"""ML-Mamba's connector: scans in both directions over the image's tokens, then an MLP."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from chiasm.layers import BidirectionalMamba2, GatedMLP
from chiasm.spec import Work
from chiasm.spec.state_space import StateSpace
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class MambaScan:
    """The Mamba-2 scan connector (ML-Mamba, arXiv 2407.19832, as released).

    x = gelu(W f) in the host's width; `depth` times x += BiMamba2(x), x += SwiGLU(LN(x)), with no
    norm before the mixer; then W3 gelu(W2 gelu(W1 LN(x))), W1 `expansion` times as wide.
    """

    mixer: StateSpace
    ff_width: int
    """Hidden width of the gated feed-forward."""
    depth: int = 2
    expansion: int = 4
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "ScanConnector":
        return ScanConnector(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, hidden = self.count(grid), self.expansion * host_width
        work = [linear("connector", "projection", tokens, width, host_width)]
        for _ in range(self.depth):
            work += self.mixer.work("connector", "scan", tokens, host_width, scans=2)
            work.append(linear("connector", "feed-forward", tokens, host_width, 3 * self.ff_width))
        return [
            *work,
            linear("connector", "MLP 1", tokens, host_width, hidden),
            linear("connector", "MLP 2", tokens, hidden, host_width),
            linear("connector", "MLP 3", tokens, host_width, host_width),
        ]


class _ScanLayer(nn.Module):
    def __init__(self, config: MambaScan, width: int) -> None:
        super().__init__()
        self.mixer = BidirectionalMamba2(width, config.mixer)
        self.norm = nn.LayerNorm(width)
        self.mlp = GatedMLP(width, config.ff_width)

    def forward(self, tokens: Tensor, valid: Tensor | None) -> Tensor:
        tokens = tokens + self.mixer(tokens, valid)
        return tokens + self.mlp(self.norm(tokens))


class ScanConnector(nn.Module):
    """`[image, token, width]` to `[image, token, host width]`: every token reads every other."""

    def __init__(self, config: MambaScan, width: int, host_width: int) -> None:
        super().__init__()
        hidden = config.expansion * host_width
        self.projection = nn.Sequential(nn.Linear(width, host_width), nn.GELU())
        self.layers = nn.ModuleList(_ScanLayer(config, host_width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(host_width)
        self.mlp = nn.Sequential(
            nn.Linear(host_width, hidden),
            nn.GELU(),
            nn.Linear(hidden, host_width),
            nn.GELU(),
            nn.Linear(host_width, host_width),
        )
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        tokens = self.projection(features.tokens)
        for layer in self.layers:
            tokens = layer(tokens, features.valid)
        return Tokens(self.mlp(self.norm(tokens)), features.valid)
