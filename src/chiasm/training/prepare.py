"""A system made ready to be taught: tokenizer, template and a model of their vocabulary."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from transformers import PreTrainedTokenizerBase

from chiasm import weights
from chiasm.assemble import build
from chiasm.data import Dataset
from chiasm.data.template import Template
from chiasm.data.templates import named
from chiasm.data.tokenizer import fit_tokenizer, open_tokenizer
from chiasm.errors import Misuse
from chiasm.experts.mixed import MixedFeedForward
from chiasm.hub.module import KeywordModel
from chiasm.hub.read import load as open_checkpoint
from chiasm.hub.tensors import check, unique_state
from chiasm.model import Model, part_of
from chiasm.spec import Scale, System, scale_named
from chiasm.spec import system as by_slug
from chiasm.spec.override import override

_HOST = ("decoder.embed_tokens.", "decoder.stack.layers.", "decoder.norm.", "head.lm_head.")
"""What a pretrained language model brings; a decoder's other tensors belong to the fusion."""


class Prepared(NamedTuple):
    """What a run starts from."""

    model: Model
    tokenizer: PreTrainedTokenizerBase
    template: Template


def prepare(
    system: System | str,
    scale: str,
    dataset: Dataset,
    seed: int,
    *,
    overrides: Iterable[str] = (),
    device: torch.device | str = "cpu",
) -> Prepared:
    """Model, tokenizer and template of a system at a scale, before its first step.

    A host without weights starts from `seed`, with a tokenizer fitted on the data set's text, whose
    size (at most `host.vocabulary`) becomes the host's. A host with weights brings both. Raises
    Misuse for the paper scale, which exists to be counted.
    """
    chosen = by_slug(system) if isinstance(system, str) else system
    size = scale_named(scale)
    if size is Scale.PAPER:
        raise Misuse("the paper scale is for `chiasm cost`; train at nano or smol")
    answers = override(chosen.at(size), overrides)
    template = named(answers.template)
    if answers.host.weights is None:
        tokenizer = fit_tokenizer(dataset.texts(), answers.host.vocabulary)
        answers = replace(answers, host=replace(answers.host, vocabulary=len(tokenizer)))
        return _sorted(build(answers, seed=seed, device=device), tokenizer, template)
    folder = weights.resolve(answers.host.weights)
    model = build(answers, seed=seed, device=device)
    fill_host(model, folder)
    return _sorted(model, open_tokenizer(folder), template)


def _sorted(model: Model, tokenizer: PreTrainedTokenizerBase, template: Template) -> Prepared:
    """What a run starts from; a head that knows kinds of answers is told what its words are."""
    sort = getattr(model.head, "sort", None)
    if sort is not None:
        ids = range(model.answers.host.vocabulary)
        sort([str(tokenizer.decode([one], skip_special_tokens=True)) for one in ids])
    return Prepared(model, tokenizer, template)


@torch.no_grad()
def fill_host(model: Model, folder: Path) -> None:
    """Copy a pretrained language model into the host: embeddings, blocks, norm and head.

    What fills the slots between the blocks, and what an experts answer adds, stays as it was drawn;
    mixed experts start as the feed-forward they stand for. Raises ChiasmError if the folder holds a
    model of other sizes.
    """
    source = cast(KeywordModel, open_checkpoint(folder, dtype=torch.float32)).model
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
