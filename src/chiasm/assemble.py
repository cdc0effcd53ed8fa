"""From answers to a model: the only module that joins the rooms to the backbone."""

from typing import cast

import torch
from torch import nn

from chiasm.backbone import Decoder, Stack
from chiasm.model import Model
from chiasm.spec import Answers, Host, Scale, System, system
from chiasm.spec.slots import SlotParts
from chiasm.stream import Role, RowPlan, Rule
from chiasm.visibility import Causal, NotRole, Sight, Window, dense_permission, materialise


def build(
    what: System | Answers | str,
    scale: Scale | str = Scale.NANO,
    *,
    device: torch.device | str = "cpu",
    seed: int | None = 0,
) -> Model:
    """The model of a system (a value or a slug) at a scale, or of bare answers.

    Fresh weights are drawn from `seed`; `device="meta"` allocates nothing. A pretrained host is
    filled in by `chiasm.training.prepare`.
    """
    chosen = system(what) if isinstance(what, str) else what
    answers = chosen.at(scale) if isinstance(chosen, System) else chosen
    if seed is not None and torch.device(device).type != "meta":
        torch.manual_seed(seed)
    with torch.device(device):
        return _assemble(answers)


def _assemble(answers: Answers) -> Model:
    host, sight = answers.host, cast(Sight, answers.visibility)
    encoder, width = answers.encoder.build(), answers.encoder.width
    layerwise = answers.connector.layerwise
    memory_width = answers.connector.width(width, host.width)
    parts = SlotParts(
        memory_width=memory_width,
        projector=lambda: _made(answers.connector.build(width, host.width)),
        stack=lambda depth: _prefusion_stack(host, depth),
    )
    slots = answers.fusion.fill(host, parts)
    stack = Stack(
        host,
        depth=host.depth,
        rules=[_rule(sight.sequence, host, layer) for layer in range(host.depth)],
        memory_rule=sight.memory,
        plan=answers.fusion.plan,
        permit=materialise,
        permit_masked=dense_permission,
        before=slots.before,
    )
    decoder = Decoder(host, stack, slots.prologue)
    head = answers.head.build(host, decoder.embed_tokens)
    connector = None if layerwise else answers.connector.build(width, host.width)
    model = Model(
        answers,
        encoder=encoder,
        compressor=answers.compression.build(width),
        connector=connector,
        decoder=decoder,
        head=head,
    )
    _initialise(decoder, head, host)
    return model


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
    return Stack(
        host,
        depth=depth,
        rules=[Causal() & NotRole(Role.ASSISTANT)] * depth,
        memory_rule=Causal(),
        plan=RowPlan(),
        permit=materialise,
        permit_masked=dense_permission,
    )


def _initialise(decoder: Decoder, head: nn.Module, host: Host) -> None:
    """Normal weights of the host's deviation, zero biases, as the Llama family starts."""
    for module in [*decoder.stack.layers.modules(), *_blocks(decoder.prologue), *head.modules()]:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=host.initial_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    std = host.initial_std if host.embedding_std is None else host.embedding_std
    nn.init.normal_(decoder.embed_tokens.weight, std=std)


def _blocks(module: nn.Module | None) -> list[nn.Module]:
    return [] if module is None else list(module.modules())
