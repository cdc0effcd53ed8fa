"""ReT's fusion (arXiv 2503.01980): one gated cell, shared by all pairs of layers of two towers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.embedders.states import States
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.stream import Modality, Permission


@dataclass(frozen=True, kw_only=True)
class RecurrentLayers:
    """`queries` learned vectors read the layers of both towers, the lowest first.

    With n = LN(Q) after a fixed code of the step, r = Q + SA(n), t and v what n reads of the words'
    and the picture's layer, m_t and m_v whether there is one:
    i_t = sigmoid(W_it t) m_t, i_v = sigmoid(W_iv v) m_v, f = sigmoid(W_ft m_t t + W_fv m_v v),
    Q <- f r + i_t t + i_v v, then Q <- Q + mlp(LN Q).
    `layers` of each tower are read, spread over those that it gives; `text` and `image` are the
    widths of one of their layers.
    """

    out: int
    queries: int
    heads: int
    layers: int
    text: int
    image: int
    deviation: float = 0.2

    def width(self, widths: Mapping[str, int]) -> int:
        return self.out

    def build(self, widths: Mapping[str, int]) -> "RecurrentFusion":
        return RecurrentFusion(self)


class Attention(nn.Module):
    """Multi-head attention of given queries over given keys, all of one width."""

    def __init__(self, width: int, heads: int, *, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=bias) for _ in range(4))

    def forward(self, x: Tensor, read: Tensor, permission: Permission) -> Tensor:
        q, k, v = (
            split_heads(cast(Tensor, part), self.heads)
            for part in (self.q(x), self.k(read), self.v(read))
        )
        return self.o(merge_heads(attend(q, k, v, permission)))


class Cell(nn.Module):
    """One step: 24 d^2 + 23 d weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.itself = Attention(width, heads, bias=True)
        self.words = Attention(width, heads, bias=False)
        self.picture = Attention(width, heads, bias=False)
        norms = (nn.LayerNorm(width) for _ in range(5))
        self.norm, self.norm_words, self.norm_picture, self.norm_mlp, self.norm_out = norms
        gates = (nn.Linear(width, width) for _ in range(4))
        self.in_words, self.in_picture, self.forget_words, self.forget_picture = gates
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self,
        state: Float[Tensor, "item query width"],
        words: Tensor,
        words_valid: Bool[Tensor, "item token"],
        picture: Tensor,
        picture_valid: Bool[Tensor, "item patch"],
    ) -> Float[Tensor, "item query width"]:
        n = self.norm(state)
        r = state + self.itself(n, n, Permission())
        t = self.words(n, self.norm_words(words), _among(words_valid, n))
        v = self.picture(n, self.norm_picture(picture), _among(picture_valid, n))
        m_t, m_v = (one.any(-1)[:, None, None].to(n) for one in (words_valid, picture_valid))
        into_t, into_v = self.in_words(t).sigmoid() * m_t, self.in_picture(v).sigmoid() * m_v
        kept = (self.forget_words(t * m_t) + self.forget_picture(v * m_v)).sigmoid()
        state = kept * r + into_t * t + into_v * v
        return state + self.mlp(self.norm_mlp(state))


class RecurrentFusion(nn.Module):
    """Layers of the towers `text` and `image` to states of the queries."""

    def __init__(self, config: RecurrentLayers) -> None:
        super().__init__()
        self.config, width = config, config.out
        self.queries = nn.Parameter(config.deviation * torch.randn(config.queries, width))
        self.enter_words, self.enter_picture = (
            nn.ModuleList(nn.Linear(own, width) for _ in range(config.layers))
            for own in (config.text, config.image)
        )
        self.cell = Cell(width, config.heads)

    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        count, device = len(next(iter(seen.values())).tokens), self.queries.device
        state = self.queries.expand(count, -1, -1)
        sides = [
            self._side(seen.get(name), width, count, device)
            for name, width in (("text", self.config.text), ("image", self.config.image))
        ]
        (words, words_valid), (pictures, pictures_valid) = sides
        for step in range(self.config.layers):
            state = self.cell(
                state + self._code(step),
                self.enter_words[step](words[step]),
                words_valid,
                self.enter_picture[step](pictures[step]),
                pictures_valid,
            )
        return States.all_of(self.cell.norm_out(state), int(Modality.LEARNED))

    def _side(
        self, states: States | None, width: int, count: int, device: torch.device
    ) -> tuple[list[Tensor], Tensor]:
        """The layers that are read of a tower, and which tokens there are."""
        wanted = self.config.layers
        if states is None:
            nothing = torch.zeros(count, 1, width, device=device)
            return [nothing] * wanted, torch.zeros(count, 1, dtype=torch.bool, device=device)
        given = states.layers
        places = [round((at + 1) * len(given) / wanted) - 1 for at in range(wanted)]
        return [given[place] for place in places], states.valid

    def _code(self, step: int) -> Float[Tensor, " width"]:
        """A fixed sine code of the step."""
        half = torch.arange(self.config.out, device=self.queries.device).float() // 2
        angle = step / 10_000 ** (2 * half / self.config.out)
        even = torch.arange(self.config.out, device=self.queries.device) % 2 == 0
        return torch.where(even, angle.sin(), angle.cos())


def _among(valid: Bool[Tensor, "item token"], queries: Tensor) -> Permission:
    return Permission(dense=valid.unsqueeze(1).expand(-1, queries.shape[1], -1))
