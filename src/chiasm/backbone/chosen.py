"""A layer run by some rows only, chosen by a router (mixture of depths, arXiv 2404.02258)."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from chiasm.backbone.attention import Runs, Step
from chiasm.backbone.run import Run
from chiasm.spec.reading import Chosen, Reading
from chiasm.spec.slots import Beside, reads_pairs
from chiasm.stream import Rule
from chiasm.stream.table import take


def run_chosen(
    block: nn.Module,
    run: Run,
    chosen: Chosen,
    rule: Rule,
    *,
    turns: bool,
    beside: Beside | None = None,
) -> Tensor:
    """x + weight (layer(x) - x) at the chosen rows (layer(x) without weights), x elsewhere.

    Rows that skip the layer make no keys either; a cache keeps the layer's own rows.
    """
    if chosen.index.shape[1] == 0:
        return run.hidden
    table = run.call.table.rows(chosen.index).hiding(~chosen.valid)
    source = None if run.call.source is None else take(run.call.source, chosen.index)
    call = replace(run.call, table=table, source=source, runs=chosen.runs, in_order=False)
    keys = table if run.cache is None else run.cache.extend(("chosen", run.layer), table)
    every = slice(0, table.shape[1])
    rows = take(run.hidden, chosen.index)
    step = Step(
        runs=Runs(every, every, every, every),
        rotary=run.call.rotary(table.position) if turns else None,
        permission=run.concrete(rule, table, keys, dense=reads_pairs(beside)),
        reading=Reading(call, run.layer, every),
        cache=run.cache,
        beside=beside,
    )
    new = block(rows, step)
    if chosen.weight is not None:
        new = rows + chosen.weight * (new - rows)
    new = torch.where(chosen.valid.unsqueeze(-1), new, rows)
    return run.hidden.scatter(1, chosen.index.unsqueeze(-1).expand_as(new), new)
