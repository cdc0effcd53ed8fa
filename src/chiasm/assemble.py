"""From answers to a model: the only module that joins the rooms to the backbone."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import cast

import torch
from torch import nn

from chiasm.backbone import Chain, Decoder, Hierarchy, LockStep, Stack, Stage
from chiasm.errors import Misuse
from chiasm.experts import SharedWeights
from chiasm.layers import Linear
from chiasm.model import Model
from chiasm.spec import Answers, Host, Scale, System, system
from chiasm.spec.fit import Unfit, check_fit
from chiasm.spec.slots import Ahead, Levels, SlotParts, Slots, Tower, Weights
from chiasm.stream import Role, RowPlan, Rows, Rule
from chiasm.visibility import Causal, NotRole, Sight, Window, dense_permission, materialise


def build(
    what: System | Answers | str,
    scale: Scale | str = Scale.NANO,
    *,
    device: torch.device | str = "cpu",
    seed: int | None = 0,
) -> Model:
    """The model of a system (a value or a slug) at a scale, or of bare answers.

    Answers that do not go together are refused before anything is allocated. Fresh weights are
    drawn from `seed`; `device="meta"` allocates nothing. A pretrained host is filled in by
    `chiasm.hub.pretrained.from_parts`.
    """
    chosen = system(what) if isinstance(what, str) else what
    answers = chosen.at(scale) if isinstance(chosen, System) else chosen
    check_fit(answers)
    allocates = torch.device(device).type != "meta"
    if allocates:
        _check_parts(answers)
    if seed is not None and allocates:
        torch.manual_seed(seed)
    with torch.device(device):
        return _assembled(answers)


@functools.lru_cache(maxsize=512)
def _check_parts(answers: Answers) -> None:
    """Join the parts without memory for any, so that what one of them refuses costs nothing."""
    with torch.device("meta"):
        _assembled(answers)


def _assembled(answers: Answers) -> Model:
    try:
        return _assemble(answers)
    except Misuse:
        raise
    except ValueError as error:
        raise Unfit(f"these answers do not go together: {error}") from error


def _assemble(answers: Answers) -> Model:
    host, sight, fusion = answers.host, cast(Sight, answers.visibility), answers.fusion
    encoder, width = answers.encoder.build(), answers.encoder.width
    layerwise = answers.connector.layerwise
    token_width = fusion.token_width(host)
    parts = SlotParts(
        memory_width=answers.connector.width(width, token_width),
        projector=lambda: _made(answers.connector.build(width, token_width)),
        stack=lambda depth: _prefusion_stack(host, depth),
        permit=dense_permission,
    )
    slots = fusion.fill(host, parts)
    weights = answers.experts.weights(host)
    stack = _stack(
        host,
        weights,
        [_rule(sight.sequence, host, layer) for layer in range(host.depth)],
        sight.memory,
        plans=[fusion.plan(layer) for layer in range(host.depth)],
        groups=(*answers.experts.groups, *slots.groups),
        lanes=answers.experts.lanes,
        slots=slots,
    )
    if slots.tower is not None:
        decoder = _lock_step(host, stack, weights, slots.tower)
    elif slots.ahead is not None:
        decoder = _chain(host, stack, weights, slots.ahead, sight.sequence)
    elif slots.levels is not None:
        decoder = _hierarchy(host, stack, weights, slots.levels)
    else:
        decoder = Decoder(host, stack, weights, slots.prologue, slots.epilogue)
    head = answers.head.build(host, decoder.embed_tokens)
    connector = None if layerwise else answers.connector.build(width, token_width)
    _lend(decoder.embed_tokens, connector)
    model = Model(
        answers,
        encoder=encoder,
        compressor=answers.compression.build(
            parts.memory_width if answers.compression.of_tokens else width
        ),
        connector=connector,
        decoder=decoder,
        head=head,
    )
    _initialise(decoder, head, host)
    return model


def _lock_step(host: Host, stack: Stack, weights: Weights, tower: Tower) -> LockStep:
    """The decoder whose media live in a tower of their own, with shared weights."""
    own, depth = SharedWeights().weights(tower.host), tower.host.depth
    beside = _stack(
        tower.host, own, [tower.rule] * depth, tower.rule_back, slots=Slots(before=tower.before)
    )
    return LockStep(
        host,
        stack,
        weights,
        tower_host=tower.host,
        tower=beside,
        tower_weights=own,
        links=tower.links,
        after=tower.after,
    )


def _chain(host: Host, stack: Stack, weights: Weights, ahead: Ahead, rule: Rule) -> Chain:
    """The decoder whose rows pass a stack of another width first; both have the same words."""
    own = replace(ahead.host, vocabulary=host.vocabulary)
    shared = SharedWeights().weights(own)
    first = _stack(own, shared, [_rule(rule, own, layer) for layer in range(own.depth)], Causal())
    return Chain(host, stack, weights, ahead=Decoder(own, first, shared))


def _hierarchy(host: Host, stack: Stack, weights: Weights, levels: Levels) -> Hierarchy:
    """The decoder over ids, with the stages around it, all causal."""
    inside = [*(level.host for level in levels.outer[1:]), host]
    stages: list[Stage] = []
    for at, level in enumerate(levels.outer):
        own = SharedWeights().weights(level.host)
        stages.append(
            Stage(
                level.host,
                _stack(level.host, own, [Causal()] * level.host.depth, Causal()),
                own,
                vocabulary=host.vocabulary,
                ids=prod(one.covers for one in levels.outer[at:]),
                table_width=host.width,
                inner=level.covers,
                inner_width=inside[at].width,
            )
        )
    return Hierarchy(host, stack, weights, stages=stages, chunk=levels.chunk)


def _stack(
    host: Host,
    weights: Weights,
    rules: Sequence[Rule],
    memory_rule: Rule,
    *,
    plans: Sequence[RowPlan] | None = None,
    groups: Sequence[Rows] = (),
    lanes: Sequence[Rows] = (),
    slots: Slots | None = None,
) -> Stack:
    return Stack(
        host,
        rules=rules,
        plans=[RowPlan()] * len(rules) if plans is None else plans,
        memory_rule=memory_rule,
        permit=materialise,
        permit_masked=dense_permission,
        weights=weights,
        groups=groups,
        lanes=lanes,
        slots=slots,
    )


def _lend(words: nn.Embedding, connector: nn.Module | None) -> None:
    """Hand the host's table of words to the parts of a connector that read it."""
    for part in () if connector is None else connector.modules():
        borrow = getattr(part, "borrow", None)
        if borrow is not None:
            borrow(words)


def _made(module: nn.Module | None) -> nn.Module:
    if module is None:
        raise ValueError("the fusion needs a projector for every layer; name a connector")
    return module


def _rule(rule: Rule, host: Host, layer: int) -> Rule:
    window = host.window(layer)
    here = rule.at(layer)
    return here if window is None else here & Window(window)


def _prefusion_stack(host: Host, depth: int) -> Stack:
    """Blocks like the host's over fused rows: causal, and answers are seen by nobody."""
    rule = Causal() & NotRole(Role.ASSISTANT)
    return _stack(host, SharedWeights().weights(host), [rule] * depth, Causal())


def _initialise(decoder: Decoder, head: nn.Module, host: Host) -> None:
    """Normal weights of the host's deviation, zero biases, as the Llama family starts.

    Only the plain layers of `chiasm.layers`: what a room builds for itself starts as it says.
    """
    drawn = [decoder.stack.layers, decoder.stack.experts, decoder.prologue, head]
    if isinstance(decoder, LockStep):
        drawn.append(decoder.tower.layers)
    if isinstance(decoder, Hierarchy):
        drawn.append(decoder.stages)
    if isinstance(decoder, Chain):
        _initialise(decoder.ahead, decoder.widen, decoder.ahead.host)
    for module in [inner for outer in drawn if outer is not None for inner in outer.modules()]:
        if isinstance(module, Linear):
            nn.init.normal_(module.weight, std=host.initial_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    std = host.initial_std if host.embedding_std is None else host.embedding_std
    nn.init.normal_(decoder.embed_tokens.weight, std=std)
