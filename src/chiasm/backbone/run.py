"""One call of a stack under way: where its rows stand, what is known of it, how far it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.backbone.attention import Updates
from chiasm.backbone.cache import Cache
from chiasm.backbone.layout import Layout
from chiasm.layers import RotaryTables
from chiasm.spec.reading import Call, Execution, Kept, Losses, Reading
from chiasm.stream import Memory, Permission, RowPlan, Rows, Rule, Stream, TokenTable
from chiasm.stream.table import packed, take, unpacked


class Permit(Protocol):
    """Makes a rule concrete for given queries and keys (`chiasm.visibility`)."""

    def __call__(self, rule: Rule, queries: TokenTable, keys: TokenTable) -> Permission: ...


Turns = Callable[[Tensor], RotaryTables | None]
"""Rotary tables of positions; None in a stack that turns nothing."""


class Run:
    """Hidden states between two layers, in storage order, and the masks made so far."""

    def __init__(
        self,
        stream: Stream,
        layout: Layout,
        *,
        permit: Permit,
        dense: Permit,
        memory_rule: Rule,
        rotary: Turns,
        cache: Cache | None,
        execution: Execution,
        losses: Losses | None,
    ) -> None:
        self.layout, self.execution, self.cache = layout, execution, cache
        self.layer = 0
        # As the call begins: what it adds itself is read as it comes.
        self.reads_pairs = cache is not None and cache.reads_pairs
        self._permit, self._dense, self._memory_rule = permit, dense, memory_rule
        self.hidden, table, source = _gather(stream, layout)
        self.level = 0
        """How many layers have asked which rows go on; each has keys of rows of its own behind."""
        self._kept: tuple[Tensor, Tensor] | None = None
        self._rotary = rotary
        self._keys: dict[tuple[Rows, int], TokenTable] = {}
        self._permissions: dict[tuple[Rule, Rows, Rows, bool, int], Permission] = {}
        self._of_memory: dict[tuple[int, int, bool], Permission | None] = {}
        self._seen = _memory_table(stream, cache)
        self.call = Call(
            stream=stream,
            table=table,
            source=source,
            memory=stream.memory,
            in_order=_in_order(source, stream.memory),
            runs=layout.runs,
            permit=self._memory_permission,
            rotary=rotary,
            cache=cache,
            losses=losses,
        )
        self.rotary = rotary(table.position)

    def reading(self) -> Reading:
        """All rows, as the next layer sees them."""
        return Reading(self.call, self.layer, slice(0, self.call.table.shape[1]))

    def remember(self, memory: Memory) -> None:
        """What the following layers read from now on."""
        self._of_memory.clear()
        self._seen = memory.table
        if self.cache is not None:
            self.cache.memory_table = memory.table
        self.call = replace(self.call, memory=memory, in_order=False)

    def permission(self, rule: Rule, plan: RowPlan, *, dense: bool) -> Permission:
        """The rule among the plan's rows, made concrete once for all layers that share it."""
        masked = self.execution is Execution.MASKED or self.reads_pairs
        key = rule, plan.query, plan.key_value, dense or masked, self.level
        if key not in self._permissions:
            queries = self._cut(plan.query)
            keys = queries if plan.query == plan.key_value else self._cut(plan.key_value)
            if self.cache is not None:
                keys = self._cached(plan.key_value, keys)
            make = self._dense if dense or masked else self._permit
            self._permissions[key] = make(rule, queries, keys)
        return self._permissions[key]

    def foreseen(self, rule: Rule) -> Callable[[], Permission]:
        """Makes the rule among all rows of this call and the keys that a layer has of earlier ones,
        before the rows that go on from its input are known; dense.
        """
        table, rows = self.call.table, RowPlan().key_value
        held = None if self.cache is None else self.cache.tables.get((rows, self.level + 1))
        keys = table if held is None else held.append(table)
        return lambda: self._dense(rule, table, keys)

    def concrete(
        self, rule: Rule, queries: TokenTable, keys: TokenTable, *, dense: bool = False
    ) -> Permission:
        """A rule among rows that one layer has for itself."""
        masked = self.execution is Execution.MASKED or self.reads_pairs
        make = self._dense if dense or masked else self._permit
        return make(rule, queries, keys)

    def updates(self, plan: RowPlan) -> Updates:
        """Masked-dense execution: the rows of the plan's updates."""
        table = self.call.table
        output, feed_forward = plan.output.select(table), plan.feed_forward.select(table)
        return Updates(output.unsqueeze(-1), feed_forward.unsqueeze(-1))

    def restored(self, hidden: Tensor) -> Float[Tensor, "batch token width"]:
        """Hidden states in the stream's own row order; rows that are gone are zero."""
        if self._kept is not None:
            return unpacked(hidden, *self._kept, self.call.stream.table.shape[1])
        return hidden if self.layout.inverse is None else take(hidden, self.layout.inverse)

    def keep(self, kept: Kept | None) -> None:
        """Go on with these rows only; masked execution hides the others instead."""
        self.level += 1
        if kept is None:
            return
        self.hidden = kept.hidden
        table = self.call.table
        if kept.hides or self.execution is Execution.MASKED:
            self.call = replace(self.call, table=table.hiding(~kept.stays))
            return
        slots, alive = packed(kept.stays)
        self.hidden = take(self.hidden, slots)
        table = table.rows(slots).hiding(~alive)
        source = None if self.call.source is None else take(self.call.source, slots)
        group = self.layout.groups[0][0], slots.shape[1]
        self.layout = Layout((group,))
        self.call = replace(self.call, table=table, source=source, runs=self.layout.runs)
        self.rotary = self._rotary(table.position)
        before = self._kept
        self._kept = (slots if before is None else before[0].gather(1, slots)), alive

    def _cut(self, rows: Rows) -> TokenTable:
        """The table itself when the run is all of it, so that "queries are keys" stays visible."""
        table, run = self.call.table, self.layout.run(rows)
        return table if run == slice(0, table.shape[1]) else table.cut(run)

    def _cached(self, rows: Rows, keys: TokenTable) -> TokenTable:
        """The keys so far; each row set is extended once a call, however many rules ask."""
        assert self.cache is not None
        at = rows, self.level
        if at not in self._keys:
            self._keys[at] = self.cache.extend(at if self.level else rows, keys)
        return self._keys[at]

    def _memory_permission(self, rows: slice, dense: bool) -> Permission | None:
        if self._seen is None:
            return None
        dense = dense or self.execution is Execution.MASKED
        key = rows.start, rows.stop, dense
        if key not in self._of_memory:
            whole = rows == slice(0, self.call.table.shape[1])
            queries = self.call.table if whole else self.call.table.cut(rows)
            make = self._dense if dense else self._permit
            self._of_memory[key] = make(self._memory_rule, queries, self._seen)
        return self._of_memory[key]


def _memory_table(stream: Stream, cache: Cache | None) -> TokenTable | None:
    """Identities of the memory, in a cached step those of the prompt's."""
    memory = None if stream.memory is None else stream.memory.table
    if cache is None:
        return memory
    if memory is not None:
        cache.memory_table = memory
    return cache.memory_table


def _gather(stream: Stream, layout: Layout) -> tuple[Tensor, TokenTable, Tensor | None]:
    if layout.index is None or layout.padding is None:
        return stream.embeddings, stream.table, stream.source
    hidden = take(stream.embeddings, layout.index)
    table = stream.table.rows(layout.index).hiding(layout.padding)
    source = None if stream.source is None else take(stream.source, layout.index)
    return hidden, table, source


def _in_order(source: Tensor | None, memory: Memory | None) -> bool:
    """Whether the first rows stand for all memory tokens in turn, as planned layouts store them."""
    if source is None or memory is None or source.shape[1] < memory.tokens.shape[1]:
        return False
    first, rest = source.tensor_split([memory.tokens.shape[1]], dim=1)
    order = torch.arange(first.shape[1], device=source.device)
    return bool((first == order).all()) and bool((rest < 0).all())
