"""Narrower layers: which channels a model can lose, its spec without them, and its weights."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from chiasm.assemble import build
from chiasm.backbone import LockStep, Stack
from chiasm.errors import Misuse
from chiasm.layers import Kind, Prunable, Vectors, cut
from chiasm.model import Model
from chiasm.spec import Answers, Host

HOST, TOWER, HOST_READS, TOWER_READS = "host", "tower", "host reads", "tower reads"
Place = tuple[str, int, Kind]
"""Whose layers, or whose reads of the other stack; which of them; attention or feed-forward."""


@runtime_checkable
class Narrows(Protocol):
    """A fusion beside a tower, whose own blocks can be narrower too."""

    @property
    def tower(self) -> Host: ...

    def links(self, host: Host) -> tuple[tuple[int, int], ...]: ...

    def sizes(self, own: Host, at: int) -> tuple[int, int]: ...

    def narrowed(self, tower: Host, blocks: tuple[tuple[int, int], ...]) -> object: ...


def places(model: Model) -> dict[Place, Vectors]:
    """Every set of channels that can be removed, in the order of the layers.

    Raises:
        Misuse: there is none, or a layer has several feed-forwards.
    """
    found: dict[Place, Vectors] = {}
    for side, at, module in _modules(model):
        for vectors in module.vectors():
            if (side, at, vectors.kind) in found:
                raise Misuse(
                    f"layer {at} of the {side} has several {vectors.kind} blocks, which cannot be "
                    "pruned together; prune a model whose rows share their weights"
                )
            found[side, at, vectors.kind] = vectors
    if not found:
        raise Misuse(
            "this model has no channels that can be removed: rotary positions, norms of queries or "
            "several sets of weights tie them; choose a system such as upop"
        )
    return found


def _modules(model: Model) -> Iterator[tuple[str, int, Prunable]]:
    decoder = model.decoder
    stacks: list[tuple[str, str, nn.Module]] = [(HOST, HOST_READS, decoder.stack)]
    if isinstance(decoder, LockStep):
        stacks.append((TOWER, TOWER_READS, decoder.tower))
    for side, reads, stack in ((a, b, cast(Stack, c)) for a, b, c in stacks):
        for at, block in enumerate(stack.layers):
            for module in block.modules():
                if isinstance(module, Prunable):
                    yield side, at, module
        for at, module in enumerate(stack.before.values()):
            if isinstance(module, Prunable):
                yield reads, at, module


def narrowed(answers: Answers, widths: Mapping[Place, int]) -> Answers:
    """The answers of a model with so many channels in each place; places not named keep theirs."""
    host, fusion = _host(answers.host, widths, HOST), answers.fusion
    if isinstance(fusion, Narrows):
        links = len(fusion.links(answers.host))
        blocks: list[tuple[int, int]] = []
        for side, own in ((HOST_READS, answers.host), (TOWER_READS, fusion.tower)):
            for at in range(links):
                head, hidden = fusion.sizes(own, len(blocks))
                head = widths.get((side, at, Kind.ATTENTION), head)
                blocks.append((head, widths.get((side, at, Kind.FEED_FORWARD), hidden)))
        tower = _host(fusion.tower, widths, TOWER)
        fusion = fusion.narrowed(tower, tuple(blocks))
    return replace(answers, host=host, fusion=fusion)


def _host(host: Host, widths: Mapping[Place, int], side: str) -> Host:
    each = [host.at(layer) for layer in range(host.depth)]
    named = list(enumerate(each))
    return replace(
        host,
        head_widths=tuple(
            widths.get((side, at, Kind.ATTENTION), of.head_width) for at, of in named
        ),
        ff_widths=tuple(widths.get((side, at, Kind.FEED_FORWARD), of.ff_width) for at, of in named),
    )


@torch.no_grad()
def sliced(model: Model, kept: Mapping[Place, Tensor]) -> Model:
    """A model of the kept channels alone, `[kept]` indices in each place.

    It gives what `model` gives with the weights that make all other channels at zero. Where
    nothing is kept one channel stays, at zero.
    """
    wide = places(model)
    widths = {place: max(1, len(indices)) for place, indices in kept.items()}
    with torch.random.fork_rng(devices=[]):
        slim = build(narrowed(model.answers, widths), device=model.device, seed=0)
    source = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, target in (*slim.named_parameters(), *slim.named_buffers()):
        if target.shape == source[name].shape:
            target.copy_(source[name])
    for place, new in places(slim).items():
        indices = kept.get(place, torch.arange(wide[place].count))
        none = len(indices) == 0
        cut(wide[place], new, indices.new_zeros(1) if none else indices, empty=none)
    return slim.train(model.training)
