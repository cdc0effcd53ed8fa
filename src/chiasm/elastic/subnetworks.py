"""Sub-networks that share a super-network's weights: the leading slices of its tensors.

Heads and hidden units are rows of the matrices that make them and columns of those that read them,
so a sub-network of the first layers, heads and units holds, of every tensor, its leading slice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from chiasm.assemble import build
from chiasm.elastic.space import Genome, Space
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.stream import Inputs


def space_of(
    model: Model,
    *,
    depths: Sequence[int],
    heads: Sequence[int],
    hidden: Sequence[int],
    bits: Sequence[int] = (8, 32),
) -> Space:
    """The space of a super-network; the largest choices must be its own sizes.

    Its matrices are the linear layers of its blocks and those around them; a head that is tied to
    the word embeddings is none of its own.

    Raises:
        Misuse: other largest choices than the model's sizes.
    """
    host = model.answers.host
    for name, given, own in (
        ("depths", depths, host.depth),
        ("heads", heads, host.heads),
        ("hidden", hidden, host.ff_width),
    ):
        if max(given) != own:
            raise Misuse(f"{name} end at {max(given)}, the super-network has {own}")
    of_layer = {
        id(module): layer
        for layer, block in enumerate(model.decoder.stack.layers)
        for module in block.modules()
    }
    words = model.decoder.embed_tokens.weight
    matrices = tuple(
        (name, of_layer.get(id(module)))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.weight is not words
    )
    return Space(
        depths=tuple(depths),
        heads=tuple(heads),
        hidden=tuple(hidden),
        matrices=matrices,
        bits=tuple(bits),
    )


def answers_at(answers: Answers, space: Space, genome: Genome) -> Answers:
    """The answers of a genome's sub-network, whatever its bits."""
    depth, heads, hidden = space.architecture(genome)
    host = answers.host
    return replace(
        answers,
        host=replace(
            host,
            depth=depth,
            head_counts=heads,
            ff_widths=hidden,
            head_widths=host.head_widths[:depth],
            windows=host.windows[:depth],
            rope_layers=host.rope_layers[:depth],
        ),
    )


def skeleton(model: Model, space: Space, genome: Genome) -> Model:
    """A model of the sub-network's sizes, with weights that mean nothing."""
    with torch.random.fork_rng(devices=[]):
        bare = build(answers_at(model.answers, space, genome), device=model.device, seed=None)
    return bare.train(model.training)


def slices(model: Model, bare: Model) -> dict[str, Tensor]:
    """The super-network's tensors as the sub-network sees them: views, through which it learns."""
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    wanted = {**dict(bare.named_parameters()), **dict(bare.named_buffers())}
    return {name: _leading(held[name], own.shape) for name, own in wanted.items()}


def shared(model: Model, bare: Model, inputs: Inputs) -> Tensor:
    """Logits of a sub-network that runs on the super-network's own weights."""
    return functional_call(bare, slices(model, bare), (inputs,))


@torch.no_grad()
def sliced(model: Model, space: Space, genome: Genome) -> Model:
    """The sub-network by itself, with copies of its weights."""
    slim = skeleton(model, space, genome)
    fill(slim, slices(model, slim))
    return slim


@torch.no_grad()
def fill(slim: Model, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a model by name."""
    for name, own in (*slim.named_parameters(), *slim.named_buffers()):
        own.copy_(tensors[name])


def _leading(tensor: Tensor, shape: torch.Size) -> Tensor:
    return tensor[tuple(slice(size) for size in shape)]
