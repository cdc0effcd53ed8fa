"""A prompt as a set of sequences: attention pools each modality, then the modalities together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsRows
from chiasm.fusion.single_stream import SingleStream
from chiasm.layers import attention_map
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import Permit, SlotParts, Slots
from chiasm.spec.work import linear
from chiasm.stream import MEDIA, TEXT, Permission, Rows, Rule
from chiasm.stream.rule import KeyRows

PLACE = "set pooling"


@dataclass(frozen=True, kw_only=True)
class SetPooling(AsRows):
    """Behind the last layer a row h reads h + z, z of the sequences that it may see (DM2S2, arXiv
    2209.03126):

        a_m = softmax_i w . tanh(W H_mi),      r_m  = mean_i H_mi + sum_i a_mi H_mi
        b   = softmax_m u . tanh(U r_m),       z    = sum_m (1 + b_m) r_m

    H_m are the final hidden states of modality m; W, w, U, u are shared by all modalities, and one
    that is missing takes part in neither softmax. Tokens enter as in a single stream.
    """

    rule: Rule
    """Which rows of the sequence a row pools."""
    entry: SingleStream
    kinds: tuple[Rows, ...] = (TEXT, MEDIA)
    """The modalities."""
    inner: int = 128
    """Units of W and of U."""

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        pool = PooledRows(self, host.width, parts.permit)
        return Slots(before=self.entry.fill(host, parts).before, epilogue=pool)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        many, w = len(self.kinds), host.width
        pairs = text * max(text, tokens)
        return (
            linear("decoder", "scores within", text, w, self.inner),
            linear("decoder", "scores within", text, self.inner, 1),
            Work("decoder", "pooled modalities", many * pairs * (w + 1)),
            linear("decoder", "scores among", many * text, w, self.inner),
            linear("decoder", "scores among", many * text, self.inner, 1),
        )

    def cached(self, host: Host, tokens: int) -> int:
        return 0

    def cached_row(self, host: Host) -> int:
        return host.width + 1


class Scores(nn.Module):
    """w . tanh(W x), `[..., width]` to `[...]`."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, inner, bias=False)
        self.score = nn.Linear(inner, 1, bias=False)

    def forward(self, x: Float[Tensor, "*row width"]) -> Float[Tensor, "*row"]:
        return self.score(self.inner(x).tanh()).squeeze(-1)


class SetAttention(nn.Module):
    """Sequences of any number of modalities to one vector a query."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.within, self.among = Scores(width, inner), Scores(width, inner)

    def forward(
        self,
        states: Float[Tensor, "batch row width"],
        scores: Float[Tensor, "batch row"],
        seen: Sequence[Bool[Tensor, "batch query row"]],
    ) -> Float[Tensor, "batch query width"]:
        """z; `scores` are `within` of the states, and `seen` which rows of each modality a query
        sees.
        """
        pooled = torch.stack([self.pool(states, scores, rows) for rows in seen], 2)
        return (pooled * (1 + self.weights(pooled, seen)).unsqueeze(-1)).sum(2)

    def pool(self, states: Tensor, scores: Tensor, seen: Tensor) -> Tensor:
        """r of one modality, zeros where nothing of it is seen."""
        one = scores.new_ones(len(scores), 1, seen.shape[1], 1)
        keys, permission = scores[:, None, :, None].float(), Permission(dense=seen)
        attended = attention_map(one.float(), keys, permission)
        mean = seen / seen.sum(-1, keepdim=True).clamp(min=1)
        weights = (attended.squeeze(1) + mean) * seen.any(-1, keepdim=True)
        return weights.to(states.dtype) @ states

    def weights(
        self,
        pooled: Float[Tensor, "batch query modality width"],
        seen: Sequence[Bool[Tensor, "batch query row"]],
    ) -> Float[Tensor, "batch query modality"]:
        """b: over the modalities of which something is seen."""
        there = torch.stack([rows.any(-1) for rows in seen], -1)
        scores = self.among(pooled)
        shifted = (scores - scores.amax(-1, keepdim=True)).exp() * there
        return shifted / shifted.sum(-1, keepdim=True).clamp(min=1e-9)


class PooledRows(nn.Module):
    """h + z of every row; states of earlier calls are kept beside their identities."""

    def __init__(self, config: SetPooling, width: int, permit: Permit) -> None:
        super().__init__()
        self.rules = [config.rule & KeyRows(kind) for kind in config.kinds]
        self.permit = permit
        self.attention = SetAttention(width, config.inner)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        states, scores = hidden, self.attention.within(hidden)
        table = keys = reading.table
        cache = reading.cache
        if cache is not None:
            if PLACE in cache.memory:
                before, scored = cache.memory[PLACE]
                states, scores = torch.cat([before, states], 1), torch.cat([scored, scores], 1)
                keys = cache.tables[PLACE].append(table)
            cache.memory[PLACE], cache.tables[PLACE] = (states, scores), keys
        seen = [dense(self.permit(rule, table, keys)) for rule in self.rules]
        return hidden + self.attention(states, scores, seen)


def dense(permission: Permission) -> Bool[Tensor, "batch query row"]:
    """The mask of a dense permission."""
    if permission.dense is None:
        raise ValueError("rows are pooled under a dense mask; permit must make one")
    return permission.dense
