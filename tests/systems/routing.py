"""What the routers of a model decide in one pass, and a dense model made into experts."""

from dataclasses import replace
from typing import NamedTuple

import torch
from tests.tiny import fresh

from chiasm.assemble import build
from chiasm.experts import SharedWeights
from chiasm.experts.mixed import MixedFeedForward
from chiasm.experts.router import Routing
from chiasm.experts.routes import Routes
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.stream import Inputs


class Decided(NamedTuple):
    """One layer's decision on the rows of one pass."""

    rows: torch.Tensor
    group: torch.Tensor
    counted: torch.Tensor
    routes: Routes


def decided(model: Model, inputs: Inputs) -> list[Decided]:
    """Every router's decision, layer by layer."""
    found: list[Decided] = []
    hooks = [
        module.register_forward_hook(
            lambda m, given, routes: found.append(Decided(given[0], given[1], given[2], routes))
        )
        for module in model.modules()
        if isinstance(module, Routing)
    ]
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    return found


def use(one: Decided, group: int) -> torch.Tensor:
    """Share of a group's choices that each expert has."""
    own = (one.group == group) & one.counted
    chosen = one.routes.expert[own[one.routes.row]]
    counts = torch.bincount(chosen, minlength=one.routes.experts).float()
    return counts / counts.sum()


def upcycled(answers: Answers) -> tuple[Model, Model]:
    """A dense model, and one whose every expert is its feed-forward; adapters add nothing yet."""
    dense = fresh(replace(answers, experts=SharedWeights()))
    model, state = build(answers).eval(), dense.state_dict()
    own = model.state_dict()
    kept = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
    model.load_state_dict(kept, strict=False)
    for mixed, plain in zip(model.decoder.stack.layers, dense.decoder.stack.layers, strict=True):
        if isinstance(mixed.mlp, MixedFeedForward):
            mixed.mlp.copy_from(plain.mlp)
    return dense, model


def mixed_layers(model: Model) -> list[MixedFeedForward]:
    return [module for module in model.modules() if isinstance(module, MixedFeedForward)]
