"""A stack of blocks: resolves the row plan, makes each rule concrete once, runs the layers."""

import functools
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from chiasm.backbone.block import Block, Runs, Updates
from chiasm.backbone.cache import Cache
from chiasm.backbone.layout import Layout, lay_out
from chiasm.layers import Rotary
from chiasm.spec.host import Host
from chiasm.spec.reading import Before, Execution, Reading
from chiasm.stream import Memory, Permission, RowPlan, Rule, Stream, TokenTable, as_mask
from chiasm.stream.table import take


class Permit(Protocol):
    """Makes a rule concrete for given queries and keys (`chiasm.visibility`)."""

    def __call__(self, rule: Rule, queries: TokenTable, keys: TokenTable) -> Permission: ...


def rotary_of(host: Host) -> Rotary:
    """Rotary frequencies of a host; scaled kinds (llama3, yarn, …) are transformers' own."""
    scaling = dict(host.rope_scaling)
    if not scaling:
        exponents = torch.arange(0, host.head_width, 2, dtype=torch.float32) / host.head_width
        return Rotary(1.0 / host.rope_theta**exponents, sections=host.rope_sections)
    from transformers import LlamaConfig

    config = LlamaConfig(
        hidden_size=host.heads * host.head_width,  # LlamaConfig wants a multiple of the heads
        num_attention_heads=host.heads,
        head_dim=host.head_width,
        max_position_embeddings=host.max_positions,
        rope_parameters={"rope_theta": host.rope_theta, **scaling},
    )
    # transformers computes them on one named device, whatever the default (cost builds on meta).
    with torch.device("cpu"):
        frequencies, scale = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](config, torch.device("cpu"))
    frequencies = frequencies.to(torch.get_default_device())
    return Rotary(frequencies, scale=scale, sections=host.rope_sections)


class Stack(nn.Module):
    """Blocks, their rules and plan, and what fills their `before` slots."""

    def __init__(
        self,
        host: Host,
        *,
        depth: int,
        rules: Sequence[Rule],
        memory_rule: Rule,
        plan: RowPlan,
        permit: Permit,
        permit_masked: Permit,
        before: Mapping[int, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if len(rules) != depth:
            raise ValueError(f"{len(rules)} visibility rules given for {depth} layers")
        self.layers = nn.ModuleList(Block(host, layer) for layer in range(depth))
        self.before = nn.ModuleDict({str(at): slot for at, slot in (before or {}).items()})
        self.rotary = rotary_of(host)
        self.rules, self.memory_rule, self.plan = tuple(rules), memory_rule, plan
        self._permit, self._permit_masked = permit, permit_masked

    def forward(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        inputs: list[Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Hidden states of the stream's rows, in the stream's order.

        `inputs`, when given, receives every layer's input (in the stream's order).
        """
        masked = execution is Execution.MASKED
        plan = RowPlan() if masked else self.plan
        permit = self._permit_masked if masked else self._permit
        layout = lay_out(plan, stream.table)
        hidden, table, source = _gather(stream, layout)
        runs = Runs(*(layout.run(rows) for rows in plan.sets()))
        updates = self._updates(table) if masked and not self.plan.complete else None
        queries = _same_or_cut(table, runs.query)
        keys = _same_or_cut(table, runs.key_value)
        all_keys = keys if cache is None else cache.extend(plan.key_value, keys)
        seen = self._memory(stream, cache)
        # Built when a slot first asks: slots that only overwrite rows never do.
        permit_memory = functools.cache(
            lambda: None if seen is None else permit(self.memory_rule, table, seen)
        )
        in_order = _in_order(source, stream.memory)
        rotary = self.rotary(table.position)
        permissions: dict[Rule, Permission] = {}
        for layer, block in enumerate(self.layers):
            if inputs is not None:
                inputs.append(_restore(hidden, layout))
            if str(layer) in self.before:
                slot = cast(Before, self.before[str(layer)])
                memory = stream.memory
                reading = Reading(layer, table, memory, source, in_order, permit_memory, cache)
                hidden = slot(hidden, reading)
            rule = self.rules[layer]
            rule = as_mask(self.plan, rule) if masked and not self.plan.complete else rule
            if rule not in permissions:
                permissions[rule] = permit(rule, queries, all_keys)
            hidden = block(hidden, runs, rotary, permissions[rule], cache, updates)
        return _restore(hidden, layout)

    def _updates(self, table: TokenTable) -> Updates:
        output, feed_forward = self.plan.output.select(table), self.plan.feed_forward.select(table)
        return Updates(output.unsqueeze(-1), feed_forward.unsqueeze(-1))

    @staticmethod
    def _memory(stream: Stream, cache: Cache | None) -> TokenTable | None:
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


def _restore(hidden: Tensor, layout: Layout) -> Tensor:
    return hidden if layout.inverse is None else take(hidden, layout.inverse)


def _same_or_cut(table: TokenTable, rows: slice) -> TokenTable:
    """The table itself when the run is all of it, so that "queries are keys" stays visible."""
    whole = rows == slice(0, table.shape[1])
    return table if whole else table.cut(rows)
