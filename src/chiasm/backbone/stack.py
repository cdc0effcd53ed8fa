"""A stack of blocks: resolves the row plans, makes each rule concrete once, runs the layers."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.backbone.attention import Runs, Step
from chiasm.backbone.block import Block, put
from chiasm.backbone.cache import Cache
from chiasm.backbone.chosen import run_chosen
from chiasm.backbone.layout import lay_out
from chiasm.backbone.rotary import rotary_of
from chiasm.backbone.run import Permit, Run, Turns
from chiasm.spec.host import Host
from chiasm.spec.reading import Execution, Losses
from chiasm.spec.slots import Before, Beside, Choose, Joined, Slots, Thin, Weights, reads_pairs
from chiasm.stream import Permission, RowPlan, Rows, Rule, Stream, as_mask, groups_of


class Stack(nn.Module):
    """Blocks, their rules and plans, and what fills their slots.

    With `lanes`, a layer has one block for each of these disjoint row sets: every block reads the
    layer's input at all rows of the plan, through weights of its own, and changes its lane's rows.
    """

    def __init__(
        self,
        host: Host,
        *,
        rules: Sequence[Rule],
        plans: Sequence[RowPlan],
        memory_rule: Rule,
        permit: Permit,
        permit_masked: Permit,
        weights: Weights,
        groups: Sequence[Rows] = (),
        lanes: Sequence[Rows] = (),
        slots: Slots | None = None,
    ) -> None:
        super().__init__()
        if len(rules) != len(plans):
            raise ValueError(f"{len(rules)} visibility rules given for {len(plans)} layers")
        depth, slots = len(plans), Slots() if slots is None else slots
        self.attends = host.mixer is None
        self.layers = nn.ModuleList(Block(host, layer, weights) for layer in range(depth))
        self.experts = nn.ModuleList(
            nn.ModuleList(Block(host, layer, weights, (lane, layer)) for layer in range(depth))
            for lane in range(1, len(lanes))
        )
        named = {str(layer): weights.choose(layer) for layer in range(depth)}
        self.choose = nn.ModuleDict({at: one for at, one in named.items() if one is not None})
        if not self.attends:
            _check_recurrence(rules, plans, lanes, slots, skips=len(self.choose) > 0)
        self.before, self.joined, self.beside, self.between = (
            nn.ModuleDict({str(at): slot for at, slot in layers.items()})
            for layers in (slots.before, slots.joined, slots.beside, slots.between)
        )
        self.rotary = rotary_of(host) if host.positions == "rotary" else None
        self.turns = tuple(host.turns(layer) for layer in range(depth))
        self.rules, self.plans, self.memory_rule = tuple(rules), tuple(plans), memory_rule
        self.lanes = tuple(lanes)
        self.thin: dict[int, Thin] = {}
        """By layer: who says which rows go on from its input; attached from outside."""
        self._permit, self._permit_masked = permit, permit_masked
        # Without a plan the weights alone may ask for groups; masked execution has no plan.
        self.sorted_by_weights = groups_of([*groups, *lanes])
        sets = [rows for plan in dict.fromkeys(plans) for rows in plan.sets() if rows]
        self.sorted_by_plan = groups_of([*sets, *groups, *lanes])

    @torch.no_grad()
    def copy_own(self) -> None:
        """Give every further lane's layers the values of the first's."""
        for lane in self.experts:
            lane.load_state_dict(self.layers.state_dict())

    @property
    def depth(self) -> int:
        return len(self.layers)

    def forward(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
        inputs: list[Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Hidden states of the stream's rows, in the stream's order.

        `inputs`, when given, receives every layer's input (in the stream's order).
        """
        run = self.begin(stream, cache=cache, execution=execution, losses=losses)
        self.advance(run, self.depth, inputs)
        self.close(run)
        return run.restored(run.hidden)

    def begin(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
    ) -> Run:
        """A call before its first layer; `advance` takes it further."""
        masked = execution is Execution.MASKED
        return Run(
            stream,
            lay_out(self.sorted_by_weights if masked else self.sorted_by_plan, stream.table),
            permit=self._permit,
            dense=self._permit_masked,
            memory_rule=self.memory_rule,
            rotary=cast("Turns", self.rotary or _no_rotary),
            cache=cache,
            execution=execution,
            losses=losses,
        )

    def advance(self, run: Run, to: int, inputs: list[Tensor] | None = None) -> None:
        """Run the layers before layer `to` that have not run yet."""
        while run.layer < to:
            if inputs is not None:
                inputs.append(run.restored(run.hidden))
            self._step(run)
            run.layer += 1

    def close(self, run: Run) -> None:
        """What fills the slot behind the last layer."""
        at = str(self.depth)
        if at in self.before:
            run.hidden = cast(Before, self.before[at])(run.hidden, run.reading())

    def _step(self, run: Run) -> None:
        layer, at = run.layer, str(run.layer)
        if layer in self.thin:
            run.keep(self.thin[layer](run.hidden, run.reading(), *self._asked(run)))
        if at in self.before:
            run.hidden = cast(Before, self.before[at])(run.hidden, run.reading())
        if at in self.choose:
            chosen = cast(Choose, self.choose[at])(run.hidden, run.reading())
            if chosen is not None:
                beside = self.beside[at] if at in self.beside else None  # noqa: SIM401
                run.hidden = run_chosen(
                    self.layers[layer],
                    run,
                    chosen,
                    self.rules[layer],
                    turns=self.turns[layer],
                    beside=cast("Beside | None", beside),
                )
                return
        if not self.lanes:
            plan = self.plans[layer]
            run.hidden = self.layers[layer](run.hidden, self._told(run, plan))
            return
        given = run.hidden
        for lane, rows in enumerate(self.lanes):
            blocks = self.layers if lane == 0 else cast(nn.ModuleList, self.experts[lane - 1])
            plan = self.plans[layer].updating(rows)
            place = run.layout.run(rows)
            run.hidden = put(
                run.hidden, place, blocks[layer](given, self._told(run, plan))[:, place]
            )

    def _asked(self, run: Run) -> tuple[nn.Module, Callable[[], Permission]]:
        """The next block, and what makes its permission among all rows so far."""
        return self.layers[run.layer], run.foreseen(self.rules[run.layer])

    def _told(self, run: Run, plan: RowPlan) -> Step:
        """What a block is told; masked execution runs every row, discarding what the plan skips."""
        at, rule = str(run.layer), self.rules[run.layer]
        masked = run.execution is Execution.MASKED and not plan.complete
        runs = RowPlan() if masked else plan
        joined, beside, between = (
            slots[at] if at in slots else None  # noqa: SIM401 - a ModuleDict has no get
            for slots in (self.joined, self.beside, self.between)
        )
        rule = as_mask(plan, rule) if masked else rule
        return Step(
            runs=Runs(*(run.layout.run(rows) for rows in runs.sets())),
            rotary=run.rotary if self.turns[run.layer] else None,
            permission=run.permission(rule, runs, dense=joined is not None or reads_pairs(beside))
            if self.attends
            else Permission(),
            reading=run.reading(),
            cache=run.cache,
            updates=run.updates(plan) if masked else None,
            joined=cast("Joined | None", joined),
            beside=cast("Beside | None", beside),
            between=cast("Before | None", between),
        )


def _check_recurrence(
    rules: Sequence[Rule],
    plans: Sequence[RowPlan],
    lanes: Sequence[Rows],
    slots: Slots,
    *,
    skips: bool,
) -> None:
    """A recurrence reads every row before its own, once: nothing may ask for anything else."""
    wrong = {
        "a visibility rule that looks ahead": any(rule.looks_ahead for rule in rules),
        "a row plan that leaves rows out": not all(plan.complete for plan in plans),
        "lanes of other layers": bool(lanes),
        "rows that skip a layer": skips,
        "slots inside attention": bool(slots.joined or slots.beside),
    }
    for what, there in wrong.items():
        if there:
            raise ValueError(f"a state-space mixer runs causally over every row, not with {what}")


def _no_rotary(position: Tensor) -> None:
    """A stack that turns nothing has no tables."""
