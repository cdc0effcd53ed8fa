"""One line of a bill: the multiply-adds of one operation, by part of the model."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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


def linear(part: str, name: str, rows: int, width: int, out: int, *, once: bool = False) -> Work:
    """A matrix of `width x out` applied to `rows` rows."""
    return Work(part, name, rows * width * out, once=once, held=rows * (width + out))


def attention(
    part: str, name: str, pairs: int, heads: int, head_width: int, *, reads: Reads = Reads.ALL
) -> Work:
    """Scores and weighted sums over `pairs` (query, key) pairs."""
    return Work(part, name, 2 * pairs * heads * head_width, reads)


class _Sizes(Protocol):
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
    """One Llama block: `rows` make keys and values, `pairs` are attended.

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
        linear("decoder", f"{name} feed-forward", thinking, host.width, 3 * host.ff_width),
    )
