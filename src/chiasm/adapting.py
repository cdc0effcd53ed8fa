"""Adapters on any part of a model, as a change of its answers; and banks of them, served together.

    answers = adapted(system("llava-1.5").at("smol"), decoder=(LoRA(...),), prefix=8)

What is adapted is frozen, what is added learns in its place. `merge_adapters` folds it in.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from chiasm.assemble import build
from chiasm.connectors import AdaptedConnector
from chiasm.encoders import AdaptedEncoder
from chiasm.errors import Misuse
from chiasm.experts import (
    AdaptedLinears,
    AdaptedWeights,
    AdapterBank,
    SharedWeights,
    merge_adapters,
)
from chiasm.experts.adapters import Adapter
from chiasm.experts.bottleneck import Between
from chiasm.fusion import GatedPrefix
from chiasm.model import Model
from chiasm.spec import Answers

__all__ = ["adapted", "alone", "banked", "merge_adapters"]


def adapted(
    answers: Answers,
    *,
    decoder: Sequence[Adapter] = (),
    between: Sequence[Between] = (),
    encoder: AdaptedLinears | None = None,
    connector: AdaptedLinears | None = None,
    prefix: int = 0,
) -> Answers:
    """The answers with adapters beside the named parts, all of them nothing at first.

    `decoder` stands beside the linear layers of the host's blocks, `between`, between them;
    `prefix` is how many learned rows every layer reads. In every stage of teaching the adapted
    parts (the host's head among them) are frozen, and what is added learns.

    Raises:
        Misuse: nothing is adapted, or the host's experts have no place for adapters.
    """
    frozen: set[str] = set()
    learns: list[str] = []
    changed: dict[str, Any] = {}
    if decoder or between:
        changed["experts"] = _beside(answers.experts, tuple(decoder), tuple(between))
    if encoder is not None:
        changed["encoder"] = AdaptedEncoder(encoder=answers.encoder, adapters=encoder)
        frozen.add("encoder")
    if connector is not None:
        changed["connector"] = AdaptedConnector(connector=answers.connector, adapters=connector)
        frozen.add("connector")
    if changed:
        learns.append("experts")
    if prefix:
        changed["fusion"] = GatedPrefix(fusion=answers.fusion, rows=prefix)
        learns.append("fusion")
    if not changed:
        raise Misuse("nothing is adapted: name adapters for the decoder, encoder or connector")
    if decoder or between or prefix:
        frozen |= {"decoder", "head"}
    stages = tuple(
        replace(
            stage,
            trained=tuple(
                dict.fromkeys((*(part for part in stage.trained if part not in frozen), *learns))
            ),
        )
        for stage in answers.teaching.stages
    )
    return replace(answers, teaching=replace(answers.teaching, stages=stages), **changed)


def _beside(experts: Any, adapters: tuple[Adapter, ...], between: tuple[Between, ...]) -> Any:
    """An experts answer with further adapters."""
    if experts == SharedWeights():
        return AdaptedWeights(adapters, between)
    held = {field.name for field in fields(experts)}
    asked = {"adapters": adapters, "between": between}
    more = {name: (*getattr(experts, name), *new) for name, new in asked.items() if name in held}
    if any(new and name not in held for name, new in asked.items()):
        raise Misuse(
            f"{type(experts).__name__} has no place for these adapters beside the host's layers; "
            "adapt its encoder or connector, or a system whose rows share their weights"
        )
    return replace(experts, **more)


@torch.no_grad()
def banked(models: Sequence[Model], *, seed: int = 0) -> Model:
    """One model that serves the adapters of several, taught apart on one base: sample b passes
    those of `models[inputs.adapter[b]]`.

    Raises:
        Misuse: the models differ in more than their adapters' values, or have none that a bank
            can hold.
    """
    first = models[0]
    if any(model.answers != first.answers for model in models):
        raise Misuse("models of one bank have the same answers; these differ")
    answers = _banks(first.answers, len(models))
    if answers == first.answers:
        raise Misuse("no adapters of the decoder or of what enters it: nothing makes a bank")
    made, states = build(answers, device=first.device, seed=seed), [m.state_dict() for m in models]
    for name, tensor in made.state_dict().items():
        before, bank, after = name.partition(".bank.")
        at, _, own = after.partition(".")
        source = f"{before}.{own}" if bank else name
        if not bank and any(not torch.equal(states[0][name], one[name]) for one in states[1:]):
            raise Misuse(f"models of one bank share all but their adapters; {name} differs")
        tensor.copy_(states[int(at) if bank else 0][source])
    return made.train(first.training)


@torch.no_grad()
def alone(model: Model, at: int, *, seed: int = 0) -> Model:
    """The model with one adapter of its bank, for every sample."""
    made = build(_single(model.answers), device=model.device, seed=seed)
    state = model.state_dict()
    chosen = {}
    for name, tensor in state.items():
        before, bank, after = name.partition(".bank.")
        number, _, own = after.partition(".")
        if not bank or int(number) == at:
            chosen[f"{before}.{own}" if bank else name] = tensor
    made.load_state_dict(chosen)
    return made.train(model.training)


def _banks(answers: Answers, count: int) -> Answers:
    experts = answers.experts
    adapters = getattr(experts, "adapters", ())
    if adapters and is_dataclass(experts):
        many = tuple(AdapterBank(adapter=one, count=count) for one in adapters)
        experts = replace(experts, adapters=many)  # pyright: ignore[reportArgumentType]
    return replace(answers, experts=experts, fusion=_entering(answers.fusion, count))


def _single(answers: Answers) -> Answers:
    experts = answers.experts
    adapters = getattr(experts, "adapters", ())
    if adapters and is_dataclass(experts):
        ones = tuple(getattr(one, "adapter", one) for one in adapters)
        experts = replace(experts, adapters=ones)  # pyright: ignore[reportArgumentType]
    return replace(answers, experts=experts, fusion=_entering(answers.fusion, None))


def _entering(fusion: Any, bank: int | None) -> Any:
    """A fusion that may adapt what enters, with so many sets of its adapters."""
    adapts = "bank" in {field.name for field in fields(fusion)}
    return replace(fusion, bank=bank) if adapts else fusion
