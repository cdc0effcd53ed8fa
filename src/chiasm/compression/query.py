"""Features read by a few learned queries, between encoder and connector (LLaVA-Mini)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, sine_positions, split_heads
from chiasm.spec import Work
from chiasm.spec.reading import Losses
from chiasm.spec.work import attention, linear
from chiasm.stream import Features, Permission


@dataclass(frozen=True, kw_only=True)
class QueryCompression:
    """`side x side` queries read the features (LLaVA-Mini, arXiv 2501.03895, section 4.2).

    One cross-attention: q = LN(Q) + pos, k = LN(V) + pos, v = LN(V), with fixed 2-D sine positions;
    queries start from N(0, 0.02).
    """

    side: int
    heads: int

    @property
    def of_tokens(self) -> bool:
        return False

    def count(self, tokens: int) -> int:
        return self.side**2 if tokens else 0

    def build(self, width: int) -> nn.Module:
        return Queries(self, width)

    def work(self, tokens: int, width: int) -> Sequence[Work]:
        kept = self.side**2
        return (
            linear("connector", "compressor query and output", kept, width, 2 * width),
            linear("connector", "compressor key and value", tokens, width, 2 * width),
            attention(
                "connector", "compressor read", kept * tokens, self.heads, width // self.heads
            ),
        )


class Queries(nn.Module):
    """`[image, token, width]` to `[image, side * side, width]`."""

    def __init__(self, config: QueryCompression, width: int) -> None:
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.randn(config.side**2, width) * 0.02)
        self.norm_queries = nn.LayerNorm(width)
        self.norm_features = nn.LayerNorm(width)
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width) for _ in range(4))

    def keep(self, features: Features, losses: Losses | None = None) -> Features:
        """The kept features on their own grid."""
        side, heads = self.config.side, self.config.heads
        images, _, width = features.tokens.shape
        normed = self.norm_features(features.tokens)
        places = sine_positions(*features.grid, width).to(normed)
        own = sine_positions(side, side, width).to(normed)
        q = split_heads(
            self.to_q(self.norm_queries(self.queries) + own).expand(images, -1, -1), heads
        )
        k = split_heads(self.to_k(normed + places), heads)
        v = split_heads(self.to_v(normed), heads)
        kept = self.to_out(merge_heads(attend(q, k, v, _permission(features.valid, side**2))))
        return Features(kept, (side, side))


def _permission(valid: Tensor | None, queries: int) -> Permission:
    return Permission(dense=None if valid is None else valid.unsqueeze(1).expand(-1, queries, -1))
