"""Two decoders in lock step: words in one, codes in the other, gated reads between (Zipper)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.kept import kept
from chiasm.layers import LayerNorm, RMSNorm, attend, merge_heads, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots, Tower
from chiasm.spec.work import LayerRows, Reads, attention, linear
from chiasm.stream import Modality, Rule


@dataclass(frozen=True, kw_only=True)
class LockStepReads(AsMemory):
    """A decoder over media codes beside the host, each with words, depth, width and head of its own
    (Zipper, arXiv 2405.18669).

    The m-th time (m = 1, 2, …), before layer m `every` of the host and layer m `tower_every` of the
    tower, h of either reads x of the other, as both were before:

        h = h + tanh(g) W_o attention(q(LN h), k(P x), v(P x)),   g = 0 at first,

    P x = gelu(W x) in h's width. What enters passes h + relu(MLP h) first: every code, and the
    words that see any code. The tower is taught its own next code: `code_weight` times the mean
    cross-entropy of each code of an item after its first. Codes come as ids, one number a token;
    `tower.vocabulary` counts them. `heads` of `head_width` are those of the reads.
    """

    tower: Host
    rule: Rule
    """Among the tower's rows."""
    back: Rule
    """Which of the host's rows the tower sees."""
    every: int
    tower_every: int
    heads: int
    head_width: int
    code_weight: float = 1.0

    @property
    def inner(self) -> int:
        """Width of queries, keys and values, heads together."""
        return self.heads * self.head_width

    def links(self, host: Host) -> tuple[tuple[int, int], ...]:
        """(host layer, tower layer) at which the two meet."""
        most = min((host.depth - 1) // self.every, (self.tower.depth - 1) // self.tower_every)
        if most < 1:
            raise ValueError(
                f"stacks of {host.depth} and {self.tower.depth} layers never meet every "
                f"{self.every} and {self.tower_every}; choose smaller steps"
            )
        return tuple((m * self.every, m * self.tower_every) for m in range(1, most + 1))

    @property
    def looks_ahead(self) -> bool:
        return self.back.looks_ahead

    def token_width(self, host: Host) -> int:
        """Ids: the tower looks them up itself."""
        return 1

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        links, tower = self.links(host), self.tower
        there: dict[int, nn.Module] = {at: LockStepRead(tower, host, self) for _, at in links}
        here: dict[int, nn.Module] = {at: LockStepRead(host, tower, self) for at, _ in links}
        return Slots(
            before={0: SeeingInput(host.width), **here},
            tower=Tower(
                # The tower's last norm belongs to its head.
                host=replace(tower, final_norm=False),
                rule=self.rule,
                links=links,
                before={0: CodeInput(tower), **there, tower.depth: NextCode(self)},
                rule_back=self.back,
            ),
        )

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        own = {Modality.IMAGE: tokens}
        layer = LayerRows(own, own, own, own, tokens * tokens).work(self.tower, "self")
        inputs = linear("decoder", "tower input", tokens, self.tower.width, 2 * self.tower.width)
        work = [
            linear("decoder", "input", text, host.width, 2 * host.width),
            *(_in_tower(one) for one in (inputs, *layer * self.tower.depth)),
        ]
        for _ in self.links(host):
            work += self._read_work(host, self.tower, text, tokens, Reads.MEMORY)
            back = self._read_work(self.tower, host, tokens, text, Reads.ALL)
            work += [_in_tower(one) for one in back]
        return work

    def _read_work(self, own: Host, other: Host, rows: int, read: int, reads: Reads) -> list[Work]:
        """One side of a link: `rows` of `own` read so many of `other`."""
        pairs = rows * read
        return [
            linear("decoder", "lock-step projection", read, other.width, own.width, once=True),
            linear(
                "decoder", "lock-step key and value", read, own.width, 2 * self.inner, once=True
            ),
            linear("decoder", "lock-step query and output", rows, own.width, 2 * self.inner),
            attention("decoder", "lock-step", pairs, self.heads, self.head_width, reads=reads),
        ]

    def cached(self, host: Host, tokens: int) -> int:
        return 2 * tokens * self.inner * len(self.links(host))


def _in_tower(work: Work) -> Work:
    """The tower runs once, with the media at hand, over dense pairs."""
    return replace(work, name=f"tower {work.name}", reads=Reads.ALL, once=True)


class InputMLP(nn.Module):
    """h + relu(W relu(V h)): what enters a decoder that is not alone any more."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, width), nn.Linear(width, width)
        # A pretrained decoder starts near itself; at zero exactly, relu would never learn.
        nn.init.normal_(self.last.weight, std=0.02)
        nn.init.zeros_(self.last.bias)

    def forward(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row width"]:
        return hidden + F.relu(self.last(F.relu(self.first(hidden))))


class SeeingInput(nn.Module):
    """The host's side: rows that see no code enter as they are, so that words alone stay as they
    were.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = InputMLP(width)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        permission = reading.dense_permission
        if permission is None or permission.dense is None:
            return hidden
        return self.mlp(hidden).where(permission.dense.any(2, keepdim=True), hidden)


class CodeInput(nn.Module):
    """The tower's side: ids `[batch, token, 1]` to rows of its width."""

    def __init__(self, tower: Host) -> None:
        super().__init__()
        std = tower.initial_std if tower.embedding_std is None else tower.embedding_std
        self.unimodal = nn.Embedding(tower.vocabulary, tower.width)
        nn.init.normal_(self.unimodal.weight, std=std)
        self.mlp = InputMLP(tower.width)

    def forward(
        self, hidden: Float[Tensor, "batch token 1"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        return self.mlp(self.unimodal(hidden[..., 0].long()))


class LockStepRead(nn.Module):
    """One side of a link: rows of `own` width read the other stack's rows behind a zero gate."""

    def __init__(self, own: Host, other: Host, config: LockStepReads) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = nn.LayerNorm(own.width, eps=own.norm_eps)
        self.projection = nn.Sequential(nn.Linear(other.width, own.width), nn.GELU())
        self.query = nn.Linear(own.width, config.inner, bias=False)
        self.key_value = nn.Linear(own.width, 2 * config.inner, bias=False)
        self.output = nn.Linear(config.inner, own.width, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        """Rows that may see nothing read zeros, and stay bit for bit as they were."""
        read, permission = kept(reading, self._keys), reading.permission
        if read is None or permission is None:
            return hidden
        q = split_heads(self.query(self.norm(hidden)), self.heads)
        k, v = (split_heads(part, self.heads) for part in read)
        return hidden + self.gate.tanh() * self.output(merge_heads(attend(q, k, v, permission)))

    def _keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        k, v = self.key_value(self.projection(tokens)).chunk(2, -1)
        return k, v


class NextCode(nn.Module):
    """Behind the tower's last layer: its norm, its head, and the loss of the codes that follow."""

    def __init__(self, config: LockStepReads) -> None:
        super().__init__()
        tower, self.weight = config.tower, config.code_weight
        norm = RMSNorm if tower.norm == "rms" else LayerNorm
        scores = nn.Linear(tower.width, tower.vocabulary, bias=False)
        nn.init.normal_(scores.weight, std=tower.initial_std)
        self.unimodal = nn.Sequential(norm(tower.width, eps=tower.norm_eps), scores)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.losses is not None:
            reading.losses.add("next code", self.weight * self._loss(hidden, reading))
        return hidden

    def scores(
        self, hidden: Float[Tensor, "batch token width"]
    ) -> Float[Tensor, "batch token code"]:
        """Scores of the code that follows each row."""
        return self.unimodal(hidden)

    def _loss(self, hidden: Tensor, reading: Reading) -> Float[Tensor, ""]:
        """Mean over the rows that another of their item follows; 0 where there is none."""
        ids, table = reading.call.stream.embeddings[..., 0].long(), reading.table
        followed = table.valid[:, :-1] & table.valid[:, 1:]
        followed = followed & (table.item[:, :-1] == table.item[:, 1:])
        if not bool(followed.any()):
            return hidden.new_zeros(())
        scores = self.scores(hidden[:, :-1][followed])
        return F.cross_entropy(scores.float(), ids[:, 1:][followed])
