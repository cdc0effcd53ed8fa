"""UniIR's feature fusion (arXiv 2311.17136): a few layers over the tokens of both towers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from chiasm.embedders.stages.recurrent import Attention
from chiasm.embedders.states import States, side_by_side
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class EncodedTogether:
    """Tokens of all towers, `depth` pre-normed layers over the real ones."""

    depth: int
    heads: int
    ff_width: int

    def width(self, widths: Mapping[str, int]) -> int:
        (width,) = set(widths.values())
        return width

    def build(self, widths: Mapping[str, int]) -> nn.Module:
        return _Together(self, self.width(widths))


class _Layer(nn.Module):
    def __init__(self, config: EncodedTogether, width: int) -> None:
        super().__init__()
        self.attention = Attention(width, config.heads, bias=False)
        self.norm, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.ff_width), nn.ReLU(), nn.Linear(config.ff_width, width)
        )

    def forward(self, states: States) -> States:
        among = states.valid.unsqueeze(1).expand(-1, states.tokens.shape[1], -1)
        n = self.norm(states.tokens)
        x = states.tokens + self.attention(n, n, Permission(dense=among))
        return replace(states, tokens=x + self.mlp(self.norm_mlp(x)))


class _Together(nn.Module):
    def __init__(self, config: EncodedTogether, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config, width) for _ in range(config.depth))

    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        states = side_by_side([*made.values()])
        for layer in self.layers:
            states = layer(states)
        return states
