"""Co-attention: text and image keep stacks of their own, and each asks the other (ViLBERT)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.kept import kept
from chiasm.layers import Kind, Vectors, attend, merge_heads, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import MemoryCache, Reading
from chiasm.spec.slots import SlotParts, Slots, Tower
from chiasm.spec.work import LayerRows, Reads, attention, linear
from chiasm.stream import Modality, Rule, TokenTable


@dataclass(frozen=True, kw_only=True)
class CoAttention(AsMemory):
    """Media tokens live in `tower`, in lock step with the last layers of the host.

    Before each of the tower's layers stands a co-attention block on either side (arXiv 1908.02265,
    section 3.1), n and m its norms, x the other stack as it is then:

        h = n(h + W_o attention(q(h), k(x), v(x)));  h = m(h + down(act(up(h))))

    after which both stacks' own layers run. At the end the first media row of each sample, which
    stands for its whole image, is joined to the text rows by a product (section 3.2, as a residual
    so that words are still spelt): h = h + W (a(h) * b(x_image)).

    `heads` of `head_width` are those of the attention, on both sides whatever their own widths.
    `back` says which of the host's rows the tower sees.
    """

    tower: Host
    rule: Rule
    """Among the tower's rows."""
    back: Rule
    heads: int
    head_width: int
    blocks: tuple[tuple[int, int], ...] = ()
    """(head width, feed-forward width) of each block, the host's first, then the tower's, where
    they differ; () means `head_width` and the feed-forward of the block's own side."""

    @property
    def width(self) -> int:
        """Of the product of text and image."""
        return self.heads * self.head_width

    def narrowed(self, tower: Host, blocks: tuple[tuple[int, int], ...]) -> "CoAttention":
        """The same beside another tower, with widths for each block."""
        return replace(self, tower=tower, blocks=blocks)

    def sizes(self, own: Host, at: int) -> tuple[int, int]:
        """Head width and feed-forward width of a block, counted from the host's first."""
        return self.blocks[at] if self.blocks else (self.head_width, own.ff_width)

    def links(self, host: Host) -> tuple[tuple[int, int], ...]:
        """(host layer, tower layer) at which the two meet: the tower's layers, the host's last."""
        first = host.depth - self.tower.depth
        if first < 0:
            raise ValueError(
                f"a tower of {self.tower.depth} layers beside {host.depth} of the host"
            )
        return tuple((first + layer, layer) for layer in range(self.tower.depth))

    @property
    def looks_ahead(self) -> bool:
        """The tower reads the question."""
        return True

    def token_width(self, host: Host) -> int:
        return self.tower.width

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        links = self.links(host)
        if self.blocks and len(self.blocks) != 2 * len(links):
            raise ValueError(f"{len(self.blocks)} block widths given for {2 * len(links)} blocks")
        sides = [*[(host, self.tower)] * len(links), *[(self.tower, host)] * len(links)]
        made = [
            CoAttentionBlock(own, other, self.heads, *self.sizes(own, at))
            for at, (own, other) in enumerate(sides)
        ]
        return Slots(
            before={at: block for (at, _), block in zip(links, made, strict=False)},
            tower=Tower(
                host=self.tower,
                rule=self.rule,
                links=links,
                before={
                    at: block for (_, at), block in zip(links, made[len(links) :], strict=True)
                },
                rule_back=self.back,
                after=Product(host.width, self.tower.width, self.width),
            ),
        )

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        work: list[Work] = []
        if not tokens:
            return work
        own = {Modality.IMAGE: tokens}
        rows = LayerRows(own, own, own, own, tokens * tokens)
        work += [
            linear("decoder", "product text", text, host.width, self.width),
            linear("decoder", "product image", 1, self.tower.width, self.width, once=True),
            linear("decoder", "product output", text, self.width, host.width),
        ]
        count = len(self.links(host))
        for at in range(count):
            work += self._side(host, self.tower, text, tokens, at)
            work += self._side(self.tower, host, tokens, text, count + at)
            # The tower runs once, with the media at hand.
            work += [
                replace(one, name=f"tower {one.name}", reads=Reads.ALL, once=True)
                for one in rows.work(self.tower.at(at), "self")
            ]
        return work

    def _side(self, own: Host, other: Host, rows: int, read: int, at: int) -> list[Work]:
        once, (head_width, hidden) = own is self.tower, self.sizes(own, at)
        width = self.heads * head_width
        parts = [
            linear("decoder", "co-attention query", rows, own.width, width),
            linear("decoder", "co-attention key and value", read, other.width, 2 * width),
            attention(
                "decoder",
                "co-attention",
                rows * read,
                self.heads,
                head_width,
                reads=Reads.ALL if once else Reads.MEMORY,
            ),
            linear("decoder", "co-attention output", rows, width, own.width),
            linear("decoder", "co-attention feed-forward", rows, own.width, 2 * hidden),
        ]
        # Keys and values of the media are kept; a cached step makes only its own rows' queries.
        return [replace(w, once=once or "key" in w.name) for w in parts]

    def cached(self, host: Host, tokens: int) -> int:
        kept = sum(self.sizes(host, at)[0] for at in range(len(self.links(host))))
        return 2 * tokens * self.heads * kept + (self.width if tokens else 0)


class CoAttentionBlock(nn.Module):
    """One side of a co-attention: rows of `own` width read the other stack's rows."""

    def __init__(self, own: Host, other: Host, heads: int, head_width: int, hidden: int) -> None:
        super().__init__()
        self.heads, width = heads, heads * head_width
        self.query = nn.Linear(own.width, width)
        self.key = nn.Linear(other.width, width)
        self.value = nn.Linear(other.width, width)
        self.output = nn.Linear(width, own.width)
        self.attention_norm = nn.LayerNorm(own.width, eps=own.norm_eps)
        self.up = nn.Linear(own.width, hidden)
        self.activation = ACT2FN[own.activation]
        self.down = nn.Linear(hidden, own.width)
        self.norm = nn.LayerNorm(own.width, eps=own.norm_eps)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        """The rows after reading; those that may see nothing (no image) pass as they are."""
        read = kept(reading, self._keys)
        permission = reading.dense_permission
        if read is None or permission is None or permission.dense is None:
            return hidden
        keys, values = read
        q, k, v = (split_heads(part, self.heads) for part in (self.query(hidden), keys, values))
        seen = self.output(merge_heads(attend(q, k, v, permission)))
        new = self.attention_norm(hidden + seen)
        new = self.norm(new + self.down(self.activation(self.up(new))))
        return new.where(permission.dense.any(2, keepdim=True), hidden)

    def vectors(self) -> Sequence[Vectors]:
        """Channels of the heads, and hidden units."""
        made = ((self.query, self.heads), (self.key, self.heads), (self.value, self.heads))
        width = self.query.out_features // self.heads
        return (
            Vectors(Kind.ATTENTION, width, made, (self.output, self.heads), queries=self.query),
            Vectors(Kind.FEED_FORWARD, self.up.out_features, ((self.up, 1),), (self.down, 1)),
        )

    def _keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(tokens), self.value(tokens)


class Product(nn.Module):
    """h + W (a(h) * b(x)), x the first row of each sample's tower; h where there is none."""

    def __init__(self, width: int, tower_width: int, joint: int) -> None:
        super().__init__()
        self.text, self.image = nn.Linear(width, joint), nn.Linear(tower_width, joint)
        self.output = nn.Linear(joint, width, bias=False)

    def forward(
        self,
        hidden: Float[Tensor, "batch token width"],
        beside: Float[Tensor, "batch media tower_width"] | None,
        table: TokenTable | None,
        cache: MemoryCache | None,
    ) -> Float[Tensor, "batch token width"]:
        """A sample without an image keeps its rows, as its factor is zero."""
        if beside is not None and table is not None:
            given = table.valid.any(1)[:, None]
            image = self.image(beside[:, 0]) * given
            if cache is not None:
                cache.memory["product"] = (image,)
        elif cache is not None and "product" in cache.memory:
            (image,) = cache.memory["product"]
        else:
            return hidden
        return hidden + self.output(self.text(hidden) * image.unsqueeze(1))
