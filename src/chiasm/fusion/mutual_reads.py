"""Words and media rows read each other before a layer, behind gates that start nearly closed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsRows
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import Permit, SlotParts, Slots
from chiasm.spec.work import attention, linear
from chiasm.stream import TEXT, Rows, Rule, TokenTable

PLACE = "mutual reads"


@dataclass(frozen=True, kw_only=True)
class MutualReads(AsRows):
    """Before every `every`-th layer, for rows of words t and of media v in one sequence (MUDAIF's
    adaptive co-attention, arXiv 2412.10758):

        t <- t + g_t * R_t,   R_t = W_o attention(W_q LN t, W_k LN v, W_v LN v)
        v <- v + g_v * R_v,   the same from v to t, with weights of its own
        g = sigmoid(G [own; R] + c),   G = 0 and c = `gate_bias` first

    Both read what the other was before. `rule` says which media rows a word reads, `back` which
    words a media row reads: never an answer, or what is taught would leak.
    """

    rule: Rule
    back: Rule
    every: int
    heads: int
    head_width: int
    gate_bias: float = -4.0

    @property
    def looks_ahead(self) -> bool:
        return self.back.looks_ahead

    def layers(self, depth: int) -> range:
        """The layers that are preceded by a read."""
        return range(0, depth, self.every)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        reads = {
            layer: MutualRead(self, host.width, parts.permit) for layer in self.layers(host.depth)
        }
        return Slots(before=reads, groups=(TEXT,))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        # `text` counts all rows of a prefill, and the one word of a step.
        words = text - tokens if text > tokens else text
        forth = self._work("words", host.width, words, tokens, step=True)
        back = self._work("media", host.width, tokens, words, step=False)
        return (*forth, *back) * len(self.layers(host.depth))

    def _work(self, name: str, width: int, own: int, other: int, *, step: bool) -> tuple[Work, ...]:
        inner, once = self.heads * self.head_width, not step
        read = attention("decoder", f"{name} read", own * other, self.heads, self.head_width)
        return (
            linear("decoder", f"{name} query and output", own, width, 2 * inner, once=once),
            linear("decoder", f"{name} key and value", other, width, 2 * inner, once=True),
            Work(read.part, read.name, read.macs, once=once),
            linear("decoder", f"{name} gate", own, 2 * width, width, once=once),
        )

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.layers(host.depth)) * 2 * self.heads * self.head_width * tokens


class GatedRead(nn.Module):
    """x + sigmoid(G [x; R] + c) * R, R what x reads of other rows."""

    def __init__(self, config: MutualReads, width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm, self.norm_other = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.gate = nn.Linear(2 * width, width)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, config.gate_bias)

    def keys(self, other: Float[Tensor, "batch row width"]) -> tuple[Tensor, Tensor]:
        """Keys and values of the rows that are read."""
        k, v = self.to_kv(self.norm_other(other)).chunk(2, -1)
        return split_heads(k, self.heads), split_heads(v, self.heads)

    def forward(
        self,
        x: Float[Tensor, "batch row width"],
        keys: tuple[Tensor, Tensor],
        permit: Permit,
        rule: Rule,
        tables: tuple[TokenTable, TokenTable],
    ) -> Float[Tensor, "batch row width"]:
        q = split_heads(self.to_q(self.norm(x)), self.heads)
        read = self.to_out(merge_heads(attend(q, *keys, permit(rule, *tables))))
        return x + self.gate(torch.cat([x, read], -1)).sigmoid() * read


class MutualRead(nn.Module):
    """Both reads before one layer. Keys of media rows are kept for the words of later steps; a
    media row's words come with it.
    """

    def __init__(self, config: MutualReads, width: int, permit: Permit) -> None:
        super().__init__()
        self.rule, self.back, self.permit = config.rule, config.back, permit
        self.words, self.media = GatedRead(config, width), GatedRead(config, width)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        runs = {bool(rows & TEXT): (rows, run) for rows, run in reading.groups}
        words, media = runs.get(True), runs.get(False)
        found = self._media_keys(hidden, reading, media)
        if words is None or found is None:
            return hidden
        (keys, table), (_, at) = found, words
        own = reading.within(at).table
        out = hidden.clone()
        out[:, at] = self.words(hidden[:, at], keys, self.permit, self.rule, (own, table))
        if media is not None:
            run = media[1]
            theirs = self.media.keys(hidden[:, at])
            tables = reading.within(run).table, own
            out[:, run] = self.media(hidden[:, run], theirs, self.permit, self.back, tables)
        return out

    def _media_keys(
        self, hidden: Tensor, reading: Reading, media: tuple[Rows, slice] | None
    ) -> tuple[tuple[Tensor, Tensor], TokenTable] | None:
        """Keys, values and identities of the media rows so far; None where there are none."""
        cache, place = reading.cache, (PLACE, reading.layer)
        made = None
        if media is not None:
            made = self.words.keys(hidden[:, media[1]]), reading.within(media[1]).table
        if cache is None:
            return made
        if place in cache.memory:
            (k, v), table = cache.memory[place], cache.tables[place]
            if made is not None:
                (new_k, new_v), new = made
                k, v, table = torch.cat([k, new_k], 2), torch.cat([v, new_v], 2), table.append(new)
            made = (k, v), table
        if made is not None:
            cache.memory[place], cache.tables[place] = made
        return made
