"""A system made ready to be taught: tokenizer, template and a model of their vocabulary."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

from chiasm import weights
from chiasm.assemble import build
from chiasm.data import Dataset
from chiasm.data.template import Template
from chiasm.data.templates import named
from chiasm.data.tokenizer import fit_tokenizer, open_tokenizer
from chiasm.errors import Misuse
from chiasm.hub.pretrained import from_parts
from chiasm.model import Model
from chiasm.spec import Scale, System, scale_named
from chiasm.spec import system as by_slug
from chiasm.spec.override import override


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
    model = from_parts(answers, seed=seed, device=device)
    return _sorted(model, open_tokenizer(weights.resolve(answers.host.weights)), template)


def _sorted(model: Model, tokenizer: PreTrainedTokenizerBase, template: Template) -> Prepared:
    """What a run starts from; a head that knows kinds of answers is told what its words are."""
    sort = getattr(model.head, "sort", None)
    if sort is not None:
        ids = range(model.answers.host.vocabulary)
        sort([str(tokenizer.decode([one], skip_special_tokens=True)) for one in ids])
    return Prepared(model, tokenizer, template)
