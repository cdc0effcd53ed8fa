"""One line of a bill: the multiply-adds of one operation, by part of the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chiasm.stream import ALL, Modality, Rows


class Reads(StrEnum):
    """Which pairs an operation runs over, and so which rule says how many of them are visible.

    all: no pairs, or every pair is visible. sequence: rows of the sequence read each other. memory:
    rows of the sequence read the memory. fused: media tokens and sequence in one causal row.
    """

    ALL = "all"
    SEQUENCE = "sequence"
    MEMORY = "memory"
    FUSED = "fused"


@dataclass(frozen=True)
class Work:
    """`macs` multiply-adds (1 MAC = 2 FLOPs) of one named operation for one sample.

    Attention is billed over dense pairs; `reads` lets the cost model count the visible ones.
    """

    part: str
    """encoder, connector, decoder or head."""
    name: str
    macs: int
    reads: Reads = Reads.ALL
    once: bool = False
    """True for what a prefill does and a cached step does not repeat."""
    held: int = 0
    """Numbers that the operation reads and writes, weights apart: what it keeps in memory."""
    rows: Rows = ALL
    """Which rows do it: `macs` is what all of them would cost, the cost model takes their share."""


def linear(
    part: str,
    name: str,
    count: int,
    width: int,
    out: int,
    *,
    once: bool = False,
    rows: Rows = ALL,
) -> Work:
    """A matrix of `width x out` applied to `count` rows."""
    held = count * (width + out)
    return Work(part, name, count * width * out, once=once, rows=rows, held=held)


def attention(
    part: str,
    name: str,
    pairs: int,
    heads: int,
    head_width: int,
    *,
    reads: Reads = Reads.ALL,
    rows: Rows = ALL,
) -> Work:
    """Scores and weighted sums over `pairs` (query, key) pairs."""
    return Work(part, name, 2 * pairs * heads * head_width, reads, rows=rows)


class _Mixer(Protocol):
    """What stands in attention's place, as far as its bill."""

    def layer_work(self, name: str, rows: int, width: int) -> "Sequence[Work]": ...


class _Sizes(Protocol):
    @property
    def mixer(self) -> "_Mixer | None": ...
    @property
    def width(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def kv_heads(self) -> int: ...
    @property
    def head_width(self) -> int: ...
    @property
    def ff_width(self) -> int: ...
    @property
    def gated(self) -> bool: ...


@dataclass(frozen=True)
class LayerRows:
    """How many rows of each modality do which work in one layer, and the pairs it attends."""

    query: Mapping[Modality, int]
    key_value: Mapping[Modality, int]
    output: Mapping[Modality, int]
    feed_forward: Mapping[Modality, int]
    pairs: int

    def work(self, host: "_Sizes", name: str) -> tuple[Work, ...]:
        """The layer's bill where one set of weights processes every row."""
        if host.mixer is not None:
            return self._mixed(host, host.mixer, name)
        return decoder_layer(
            host,
            sum(self.key_value.values()),
            self.pairs,
            name,
            query_rows=sum(self.query.values()),
            output_rows=sum(self.output.values()),
            feed_forward_rows=sum(self.feed_forward.values()),
        )

    def _mixed(self, host: "_Sizes", mixer: "_Mixer", name: str) -> tuple[Work, ...]:
        mixed = mixer.layer_work(name, sum(self.query.values()), host.width)
        if not host.ff_width:
            return tuple(mixed)
        thinking = sum(self.feed_forward.values())
        return (*mixed, feed_forward(host, thinking, f"{name} feed-forward"))


def rows_in(counts: Mapping[Modality, int], rows: Rows) -> int:
    """How many of the counted rows belong to a set."""
    return sum(count for modality, count in counts.items() if modality in rows.modalities)


def decoder_layer(
    host: _Sizes,
    rows: int,
    pairs: int,
    name: str,
    *,
    query_rows: int | None = None,
    output_rows: int | None = None,
    feed_forward_rows: int | None = None,
) -> tuple[Work, ...]:
    """One block of attention and feed-forward: `rows` make keys and values, `pairs` are attended.

    The other row sets default to `rows`.
    """
    inner, shared = host.heads * host.head_width, host.kv_heads * host.head_width
    queries = rows if query_rows is None else query_rows
    outputs = rows if output_rows is None else output_rows
    thinking = rows if feed_forward_rows is None else feed_forward_rows
    return (
        linear("decoder", f"{name} query", queries, host.width, inner),
        linear("decoder", f"{name} key and value", rows, host.width, 2 * shared),
        linear("decoder", f"{name} output", outputs, inner, host.width),
        attention(
            "decoder",
            f"{name} attention",
            pairs,
            host.heads,
            host.head_width,
            reads=Reads.SEQUENCE,
        ),
        feed_forward(host, thinking, f"{name} feed-forward"),
    )


def feed_forward(host: _Sizes, rows: int, name: str) -> Work:
    """A feed-forward of the host's kind on so many rows: three matrices gated, two plain."""
    matrices = 3 if host.gated else 2
    return linear("decoder", name, rows, host.width, matrices * host.ff_width)
