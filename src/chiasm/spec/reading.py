"""What a slot, or a weight, of the stack may read in one call besides the hidden states."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.stream import Memory, Permission, Rows, Stream, TokenTable


class Execution(StrEnum):
    """Planned gathers only the rows that work; masked runs every row under the equivalent mask."""

    PLANNED = "planned"
    MASKED = "masked"


class MemoryCache(Protocol):
    """The part of a cache that slots use."""

    memory: dict[Hashable, tuple[Tensor, ...]]
    """Tensors computed once (or per step), by a key."""
    tables: dict[Hashable, TokenTable]
    """Identities of the rows so far, this call's included, by row set."""
    following: TokenTable | None
    """Identities of rows that will follow, where they are known before they are read."""


class Losses:
    """Auxiliary losses of one forward pass, by name, added up over the layers."""

    def __init__(self) -> None:
        self.named: dict[str, Tensor] = {}

    def add(self, name: str, value: Float[Tensor, ""]) -> None:
        """Add a scalar, already weighted, under a name."""
        self.named[name] = self.named[name] + value if name in self.named else value

    def total(self) -> Tensor | float:
        """The sum of all of them, 0.0 when there is none."""
        return sum(self.named.values(), start=0.0)


@dataclass(frozen=True)
class Call:
    """One call of a stack: what all of its layers share."""

    stream: Stream
    """The stream as it entered, in its own row order."""
    table: TokenTable
    """The rows in storage order: sorted into groups where a plan or the weights ask for it."""
    source: Int[Tensor, "batch token"] | None
    """Which memory token each row stands for, -1 for none; in storage order."""
    memory: Memory | None
    """None in a cached step that brings no new media."""
    in_order: bool
    """True when the first rows stand for memory tokens 0, 1, 2, … and no other row for one."""
    runs: tuple[tuple[Rows, slice], ...]
    """Where each row group is stored; one group of all rows where nothing is sorted."""
    permit: Callable[[slice, bool], Permission | None]
    """Which of some rows may read which memory tokens, made the first time that a layer asks; True
    asks for the dense form. None where there is no memory."""
    rotary: Callable[[Tensor], Any]
    """Rotary tables for positions `[batch, token, axis]`."""
    cache: MemoryCache | None = None
    losses: Losses | None = None
    """Where auxiliary losses go; None when nobody asks for them."""
    notes: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any])
    """What one layer leaves for the next within this call (a gate that several sites share)."""


@dataclass(frozen=True)
class Reading:
    """One layer's view of a call: the rows that are handed over, and who they are."""

    call: Call
    layer: int
    rows: slice
    """The places of these rows in the call's storage."""

    def on(self, rows: slice) -> "Reading":
        """The same layer, other rows of the call."""
        return self if rows == self.rows else replace(self, rows=rows)

    def within(self, rows: slice) -> "Reading":
        """A run of these rows, counted from their own start."""
        start = self.rows.start
        return replace(self, rows=slice(start + rows.start, start + rows.stop))

    @property
    def table(self) -> TokenTable:
        """Identities of these rows."""
        whole = self.rows == slice(0, self.call.table.shape[1])
        return self.call.table if whole else self.call.table.cut(self.rows)

    @property
    def source(self) -> Int[Tensor, "batch token"] | None:
        """Which memory token each of these rows stands for."""
        return None if self.call.source is None else self.call.source[:, self.rows]

    @property
    def groups(self) -> tuple[tuple[Rows, slice], ...]:
        """The row groups among these rows, and where they stand, counted from their own start."""
        found: list[tuple[Rows, slice]] = []
        for rows, run in self.call.runs:
            start, stop = max(run.start, self.rows.start), min(run.stop, self.rows.stop)
            if start < stop:
                found.append((rows, slice(start - self.rows.start, stop - self.rows.start)))
        return tuple(found)

    @property
    def memory(self) -> Memory | None:
        return self.call.memory

    @property
    def in_order(self) -> bool:
        return self.call.in_order

    @property
    def permission(self) -> Permission | None:
        """Which of these rows may read which memory tokens; None when there is no memory."""
        return self.call.permit(self.rows, False)

    @property
    def dense_permission(self) -> Permission | None:
        """The same as a dense mask."""
        return self.call.permit(self.rows, True)

    @property
    def cache(self) -> MemoryCache | None:
        return self.call.cache

    @property
    def losses(self) -> Losses | None:
        return self.call.losses


class Held(Protocol):
    """Keys and values of a layer's rows so far, in whatever form they are kept."""

    @property
    def keys(self) -> Float[Tensor, "batch kv_head key head_width"]: ...

    @property
    def values(self) -> Float[Tensor, "batch kv_head key head_width"]: ...

    def extended(
        self,
        keys: Float[Tensor, "batch kv_head more head_width"],
        values: Float[Tensor, "batch kv_head more head_width"],
    ) -> "Held":
        """The same and further rows behind them."""
        ...

    def attend(
        self, q: Float[Tensor, "batch head query head_width"], permission: Permission
    ) -> Float[Tensor, "batch head query head_width"]:
        """What queries read of them."""
        ...


@dataclass(frozen=True)
class Inside:
    """What a slot inside a layer's attention sees besides the read."""

    queries: Float[Tensor, "batch head query head_width"]
    """After their norm and rotation."""
    normed: Float[Tensor, "batch query width"]
    """The layer's normed input at the query rows."""
    norm: Callable[[Tensor], Tensor]
    """The layer's own input norm, for memory tokens that share it."""
    reading: Reading
    """Of the query rows."""
    held: Held
    """Keys and values of the sequence, cached ones included."""
    permission: Permission
    """Which of them the queries may read; dense where the slot `reads_pairs`."""


@dataclass(frozen=True)
class Kept:
    """Rows that go on from a layer's input; the others are gone from all layers behind it."""

    stays: Bool[Tensor, "batch token"]
    hidden: Float[Tensor, "batch token width"]
    """What all rows hold, before any goes."""
    hides: bool = False
    """Whether the others stay in their places, seen by nobody: the slow reference."""


@dataclass(frozen=True)
class Chosen:
    """The rows that a layer runs, where a router lets rows skip it."""

    index: Int[Tensor, "batch chosen"]
    """Places in storage, ascending."""
    valid: Tensor
    """`[batch, chosen]`, False where a sample has fewer rows than the widest."""
    weight: Float[Tensor, "batch chosen 1"] | None
    """What the layer's update is multiplied by; None: nothing."""
    runs: tuple[tuple[Rows, slice], ...]
    """Where each row group stands among the chosen rows, the same in every sample."""
