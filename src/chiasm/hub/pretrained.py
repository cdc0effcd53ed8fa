"""A model on the pretrained parts that its answers name."""

from pathlib import Path
from typing import cast

import torch

from chiasm import weights
from chiasm.assemble import build
from chiasm.experts.mixed import MixedFeedForward
from chiasm.hub.module import KeywordModel
from chiasm.hub.tensors import check, unique_state
from chiasm.hub.whole import open_whole
from chiasm.model import Model, part_of
from chiasm.spec import Answers

_HOST = ("decoder.embed_tokens.", "decoder.stack.layers.", "decoder.norm.", "head.lm_head.")
"""What a pretrained language model brings; a decoder's other tensors belong to the fusion."""


def from_parts(answers: Answers, *, seed: int, device: torch.device | str = "cpu") -> Model:
    """The model with pretrained weights where its answers name some; the rest is drawn."""
    model = build(answers, seed=seed, device=device)
    if answers.host.weights is not None:
        fill_host(model, weights.resolve(answers.host.weights))
    return model


@torch.no_grad()
def fill_host(model: Model, folder: Path) -> None:
    """Copy a pretrained language model into the host: embeddings, blocks, norm and head.

    What fills the slots between the blocks, and what an experts answer adds, stays as it was drawn;
    mixed experts start as the feed-forward they stand for. Raises ChiasmError if the folder holds a
    model of other sizes.
    """
    source = cast(KeywordModel, open_whole(folder, torch.float32, False)).model
    pretrained, own = unique_state(source), unique_state(model)
    modules = model.named_modules()
    mixed = {name: module for name, module in modules if isinstance(module, MixedFeedForward)}
    stacked = tuple(f"{name}." for name in mixed)
    host = {
        name: tensor
        for name, tensor in own.items()
        if name.startswith(_HOST) and not name.startswith(stacked) and part_of(name) != "experts"
    }
    check(
        {name: tuple(tensor.shape) for name, tensor in host.items()},
        {n: tuple(t.shape) for n, t in pretrained.items() if not n.startswith(stacked)},
        folder,
    )
    for name, tensor in host.items():
        tensor.copy_(pretrained[name])
    for name, module in mixed.items():
        module.copy_from(source.get_submodule(name))
