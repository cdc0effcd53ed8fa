"""The multiply-adds of a prefill and of one cached step, operation by operation."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from chiasm.backbone import Stack
from chiasm.cost.bill import Line
from chiasm.cost.geometry import Prompt, squarest
from chiasm.cost.trunk import between, trunk
from chiasm.cost.visible import chosen, visible_pairs
from chiasm.model import Model
from chiasm.spec import Answers, Browsing, Conditioned, Work
from chiasm.spec.work import LayerRows, Reads
from chiasm.stream import Modality, RowPlan, Rows, Rule, TokenTable


@dataclass(frozen=True)
class Share:
    """Which part of the dense pairs a rule permits."""

    visible: int
    dense: int

    def of(self, macs: int) -> int:
        return macs * self.visible // self.dense if self.dense else 0


_ALL = Share(1, 1)


def media_work(answers: Answers, prompt: Prompt, *, browsing: bool = False) -> list[Work]:
    """Encoder, compressor and connector of one image; a layerwise connector once per layer.

    The encoder is billed for its own views, also where `visual` tokens were asked for. While
    `browsing`, there is no earlier pass of which the connector makes anything.
    """
    encoder, connector, compression = answers.encoder, answers.connector, answers.compression
    width, token_width = encoder.width, answers.fusion.token_width(answers.host)
    found = prompt.geometry
    work = [line for view in found.views for line in encoder.work(view.target)]
    times = answers.host.depth if connector.layerwise else 1
    each = [line for grid in found.grids for line in connector.work(grid, width, token_width)]
    if connector.conditioned:
        reads = cast(Conditioned, connector)
        each += [
            line
            for grid in found.grids
            for line in reads.asked_work(grid, width, token_width, prompt.text)
        ]
        if reads.browses and not browsing:
            made = cast(Browsing, connector).browsed_work(answers.host.width)
            each += [line for _ in found.grids for line in made]
    work += each * times
    if found.views and found.kept != found.tokens:
        if compression.of_tokens:
            return work + [
                w for count in found.tokens_per_view for w in compression.work(count, token_width)
            ]
        work += [w for grid in found.grids for w in compression.work(grid[0] * grid[1], width)]
        kept = found.kept // len(found.grids)
        work += [w for _ in found.grids for w in connector.work(squarest(kept), width, token_width)]
    return work


def prefill_lines(model: Model, prompt: Prompt) -> tuple[Line, ...]:
    """Every operation of a prefill, a browsing pass before the other."""
    answers = model.answers
    browsed: tuple[Line, ...] = ()
    reads = answers.connector.conditioned and bool(prompt.geometry.views)
    if reads and cast(Conditioned, answers.connector).browses:
        first = _pass_lines(model, prompt, browsing=True)
        browsed = tuple(replace(line, name=f"browse {line.name}") for line in first)
    return (*browsed, *_pass_lines(model, prompt), *head_lines(answers, prompt))


def head_lines(answers: Answers, prompt: Prompt) -> Iterable[Line]:
    """The head on all rows, of which only the last is executed; all rows point at image rows."""
    head, host, shown = answers.head, answers.host, prompt.geometry.placeholders
    rows = prompt.at(-1).shape[1]
    for every, last in zip(head.work(host, rows), head.work(host, 1), strict=True):
        yield Line(every.part, every.name, every.macs, last.macs)
    yield from _lines(head.pointing_work(host, rows, shown), {Reads.ALL: _ALL})


def _pass_lines(model: Model, prompt: Prompt, *, browsing: bool = False) -> list[Line]:
    """One pass of media and stack over the prompt."""
    answers, stack = model.answers, _stack(model)
    host, table = answers.host, prompt.table
    tokens = prompt.geometry.tokens
    work = media_work(answers, prompt, browsing=browsing)
    lines = [Line(w.part, w.name, w.macs, w.macs) for w in work]
    fused = prompt.rows + tokens
    shares = {
        Reads.ALL: _ALL,
        Reads.FUSED: Share(fused * (fused + 1) // 2, fused * fused),
    }
    width = memory_width(answers)
    slots = answers.fusion.work(host, prompt.rows, tokens, width)
    lines += _slot_lines(slots, stack, table, prompt.memory, shares)
    shares_of: dict[tuple[Rule, RowPlan, int], Share] = {}
    for number, at in enumerate(trunk(model)):
        rule, plan, run = at.rule, at.plan, prompt.at(number)
        queries, keys = chosen(run, plan.query), chosen(run, plan.key_value)
        key = (rule, plan, run.shape[1])
        if key not in shares_of:
            shares_of[key] = _share(rule, queries, queries if queries is keys else keys)
        rows, share = layer_rows(plan, run), shares_of[key]
        if model.decoder.piece is not None:
            rows, share = in_pieces(prompt.rows, model.decoder.piece)
        lines += _lines(at.work(answers, rows), {Reads.ALL: _ALL, Reads.SEQUENCE: share})
    return lines + _lines(between(model, prompt.rows), {Reads.ALL: _ALL})


def decode_lines(model: Model, prompt: Prompt) -> tuple[Line, ...]:
    """Every operation of one further row against cached keys, values and memories."""
    answers, stack = model.answers, _stack(model)
    host, step = answers.host, prompt.step
    tokens = prompt.geometry.tokens
    width = memory_width(answers)
    slots = [w for w in answers.fusion.work(host, 1, tokens, width) if not w.once]
    lines = _slot_lines(slots, stack, step, prompt.memory, {Reads.ALL: _ALL})
    one = {Modality.TEXT: 1}
    for number, at in enumerate(trunk(model)):
        rule = at.rule
        keys = chosen(prompt.at(number), at.plan.key_value).append(step)
        rows, share = LayerRows(one, one, one, one, pairs=keys.shape[1]), _share(rule, step, keys)
        if model.decoder.piece is not None:
            # The patch that the row stands in is read again, from its start.
            rows, share = in_pieces(model.decoder.patch, model.decoder.piece)[0], _ALL
        lines += _lines(at.work(answers, rows), {Reads.ALL: _ALL, Reads.SEQUENCE: share})
    pointing = answers.head.pointing_work(host, 1, prompt.geometry.placeholders)
    head = (*answers.head.work(host, 1), *(w for w in pointing if not w.once))
    return (*lines, *_lines((*between(model, 1), *head), {Reads.ALL: _ALL}))


def memory_width(answers: Answers) -> int:
    """Width of the tokens that layers read."""
    token_width = answers.fusion.token_width(answers.host)
    return answers.connector.width(answers.encoder.width, token_width)


def layer_rows(plan: RowPlan, table: TokenTable) -> LayerRows:
    """The rows of a one-sample table that do which work under a plan, and the dense pairs."""
    counts = [_by_modality(chosen(table, rows)) for rows in plan.sets()]
    pairs = sum(counts[0].values()) * sum(counts[1].values())
    return LayerRows(*counts, pairs=pairs)


def in_pieces(rows: int, piece: int) -> tuple[LayerRows, Share]:
    """Rows that a stack runs in causal pieces, each behind a start row, and its visible pairs."""
    pieces, each = -(-rows // piece), piece + 1
    all_rows = {Modality.TEXT: pieces * each}
    work = LayerRows(all_rows, all_rows, all_rows, all_rows, pairs=pieces * each * each)
    return work, Share(each * (each + 1) // 2, each * each)


def _by_modality(table: TokenTable) -> dict[Modality, int]:
    counts = table.modality[0].bincount(minlength=len(Modality)).tolist()
    return {modality: counts[int(modality)] for modality in Modality if counts[int(modality)]}


def _stack(model: Model) -> Stack:
    return cast(Stack, model.decoder.stack)


def _share(rule: Rule, queries: TokenTable, keys: TokenTable) -> Share:
    dense = queries.shape[1] * keys.shape[1]
    return Share(visible_pairs(rule, queries, keys), dense)


def _slot_lines(
    work: Iterable[Work],
    stack: Stack,
    table: TokenTable,
    memory: TokenTable,
    shares: dict[Reads, Share],
) -> list[Line]:
    """What the slots do, each on the rows that it names; their pairs are with the memory."""
    lines: list[Line] = []
    of_memory: dict[Rows, Share] = {}
    for w in work:
        rows = chosen(table, w.rows)
        macs = w.macs * rows.shape[1] // table.shape[1]
        if w.reads is Reads.MEMORY and w.rows not in of_memory:
            of_memory[w.rows] = _share(stack.memory_rule, rows, memory)
        share = of_memory[w.rows] if w.reads is Reads.MEMORY else shares[w.reads]
        lines.append(Line(w.part, w.name, macs, share.of(macs)))
    return lines


def _lines(work: Iterable[Work], shares: dict[Reads, Share]) -> list[Line]:
    return [Line(w.part, w.name, w.macs, shares[w.reads].of(w.macs)) for w in work]
