"""One line of a bill: the multiply-adds of one operation, by part of the model."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Work:
    """`macs` multiply-adds (1 MAC = 2 FLOPs) of one named operation for one sample."""

    part: str
    """encoder, connector, decoder or head."""
    name: str
    macs: int


def linear(part: str, name: str, rows: int, width: int, out: int) -> Work:
    """A matrix of `width x out` applied to `rows` rows."""
    return Work(part, name, rows * width * out)


def attention(part: str, name: str, pairs: int, heads: int, head_width: int) -> Work:
    """Scores and weighted sums over `pairs` (query, key) pairs."""
    return Work(part, name, 2 * pairs * heads * head_width)


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
    """One Llama block: `rows` make keys and values, `pairs` are attended; other row sets default
    to `rows`."""
    inner, shared = host.heads * host.head_width, host.kv_heads * host.head_width
    queries = rows if query_rows is None else query_rows
    outputs = rows if output_rows is None else output_rows
    thinking = rows if feed_forward_rows is None else feed_forward_rows
    return (
        linear("decoder", f"{name} query", queries, host.width, inner),
        linear("decoder", f"{name} key and value", rows, host.width, 2 * shared),
        linear("decoder", f"{name} output", outputs, inner, host.width),
        attention("decoder", f"{name} attention", pairs, host.heads, host.head_width),
        linear("decoder", f"{name} feed-forward", thinking, host.width, 3 * host.ff_width),
    )
