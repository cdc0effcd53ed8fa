"""The upper layers of a vision transformer, told what is asked, then LLaVA-1.5's MLP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class QuestionAware:
    """`depth` pre-norm layers behind an encoder's own; in each, beside frozen attention over the
    visual rows V, a second read with the question (QA-ViT, arXiv 2402.05472):

        x += P attend(V; V) + tanh(b) P_g attend(V; [V; M w]),

    both with the layer's frozen queries, keys and values; w are the host's embeddings of the
    prompt's words, M a two-layer MLP of each layer. b starts at 0 and P_g at P, so that at first no
    question is heard. `spare` rows in front (a class token) go no further than the last layer.

    The layers count as an encoder's: where the stages freeze encoders, they are frozen. Lower
    layers, in the encoder, run once for all questions about an image.
    """

    depth: int
    heads: int
    ff_width: int
    spare: int = 0
    activation: str = "gelu"
    norm_eps: float = 1e-5
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return True

    @property
    def browses(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1] - self.spare

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "QuestionAwareLayers":
        return QuestionAwareLayers(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        rows, tokens = grid[0] * grid[1], self.count(grid)
        each = (
            linear("connector", "query, key and value", rows, width, 3 * width),
            attention("connector", "among rows", rows**2, self.heads, width // self.heads),
            linear("connector", "output", rows, width, width),
            linear("connector", "feed-forward", rows, width, 2 * self.ff_width),
        )
        return (
            *each * self.depth,
            linear("connector", "projection 1", tokens, width, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
        )

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        rows = grid[0] * grid[1]
        pairs = rows * (rows + text)
        each = (
            linear("connector", "words", text, host_width + width, width),
            linear("connector", "key and value of words", text, width, 2 * width),
            attention("connector", "read with words", pairs, self.heads, width // self.heads),
            linear("connector", "gated output", rows, width, width),
        )
        return each * self.depth


class FrozenLayer(nn.Module):
    """A vision transformer's layer, in parts."""

    def __init__(self, config: QuestionAware, width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm_read, self.norm = (nn.LayerNorm(width, eps=config.norm_eps) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.expand = nn.Linear(width, config.ff_width)
        self.contract = nn.Linear(config.ff_width, width)
        self.activation = ACT2FN[config.activation]

    def heads_of(self, x: Float[Tensor, "image row width"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the rows, `[image, head, row, head_width]`."""
        q, k, v = (
            split_heads(part, self.heads) for part in self.qkv(self.norm_read(x)).chunk(3, -1)
        )
        return q, k, v

    def keys_of(self, words: Float[Tensor, "image word width"]) -> tuple[Tensor, Tensor]:
        """Keys and values of words, which ask for nothing."""
        width = words.shape[-1]
        weight, bias = self.qkv.weight[width:], self.qkv.bias[width:]
        both = F.linear(self.norm_read(words), weight, bias).chunk(2, -1)
        return split_heads(both[0], self.heads), split_heads(both[1], self.heads)

    def think(self, x: Tensor) -> Tensor:
        return x + self.contract(self.activation(self.expand(self.norm(x))))


class Told(nn.Module):
    """What one layer learns: the words' map, the gated output and its gate."""

    def __init__(self, layer: FrozenLayer, width: int, host_width: int) -> None:
        super().__init__()
        self.words = nn.Sequential(nn.Linear(host_width, width), nn.GELU(), nn.Linear(width, width))
        self.output = nn.Linear(width, width)
        self.output.load_state_dict(layer.output.state_dict())
        self.gate = nn.Parameter(torch.zeros(1))


class QuestionAwareLayers(nn.Module):
    """`[image, spare + token, width]` to `[image, token, host width]`."""

    def __init__(self, config: QuestionAware, width: int, host_width: int) -> None:
        super().__init__()
        self.spare = config.spare
        layers = [FrozenLayer(config, width) for _ in range(config.depth)]
        self.vision_tower = nn.ModuleList(layers)
        self.told = nn.ModuleList(Told(layer, width, host_width) for layer in layers)
        self.mlp = nn.Sequential(
            nn.Linear(width, host_width), nn.GELU(), nn.Linear(host_width, host_width)
        )

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        x, valid = features.tokens, features.valid
        for at in range(len(self.told)):
            x = self._layer(at, x, valid, asked)
        tokens = self.mlp(x[:, self.spare :])
        grid = None if self.spare else features.grid
        return Tokens(tokens, None if valid is None else valid[:, self.spare :], grid)

    def _layer(
        self,
        at: int,
        x: Float[Tensor, "image row width"],
        valid: Bool[Tensor, "image row"] | None,
        asked: Asked | None,
    ) -> Float[Tensor, "image row width"]:
        layer, told = cast(FrozenLayer, self.vision_tower[at]), cast(Told, self.told[at])
        q, k, v = layer.heads_of(x)
        added = layer.output(merge_heads(attend(q, k, v, _seen(valid, x.shape[1]))))
        if asked is not None:
            rows = valid if valid is not None else x.new_ones(x.shape[:2], dtype=torch.bool)
            seen = _seen(torch.cat([rows, asked.valid], 1), x.shape[1])
            keys, values = layer.keys_of(told.words(asked.embeddings.to(x.dtype)))
            k, v = torch.cat([k, keys], 2), torch.cat([v, values], 2)
            heard = told.output(merge_heads(attend(q, k, v, seen)))
            added = added + told.gate.tanh() * heard
        return layer.think(x + added)


def _seen(keys: Bool[Tensor, "image key"] | None, queries: int) -> Permission:
    if keys is None:
        return Permission()
    return Permission(dense=keys.unsqueeze(1).expand(-1, queries, -1))
