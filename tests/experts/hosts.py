"""A tiny vision-language model with any experts answer, and how its rows are looked at."""

from dataclasses import replace

import torch
from tests.tiny import Picture, batch, fresh, said, tiny_answers

from chiasm.assemble import build
from chiasm.experts import SharedWeights
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.model import Model
from chiasm.spec import Answers, Scale
from chiasm.spec.reading import Losses
from chiasm.stream import Inputs, Role

BEFORE, PATCHES, AFTER = 3, 15, 5
ROWS = BEFORE + PATCHES + AFTER


def with_experts(experts, **host) -> Answers:
    answers = tiny_answers(VISION_LANGUAGE[Scale.NANO])
    return replace(answers, experts=experts, host=replace(answers.host, **host))


def model_with(experts, *, seed: int = 0, **host) -> Model:
    return fresh(with_experts(experts, **host), seed=seed)


def seen(model: Model, *, picture: int = 1, words: int = 1) -> Inputs:
    """Text, an image, text with an answer."""
    pieces = (
        said(BEFORE, words),
        Picture(picture, 30, 50),
        said(AFTER - 2, 2),
        said(2, 3, Role.ASSISTANT),
    )
    return batch(model.answers, [pieces])


def text_only(model: Model, count: int = 7) -> Inputs:
    return batch(model.answers, [(said(count, 4), said(2, 5, Role.ASSISTANT))])


def copied(model: Model) -> Model:
    """Every other group's weights made those of the first."""
    for module in model.modules():
        if hasattr(module, "copy_own"):
            module.copy_own()
    return model


def penalties(model: Model, inputs: Inputs) -> dict[str, torch.Tensor]:
    """The auxiliary losses of one pass, by name."""
    losses = Losses()
    model.hidden(inputs, losses=losses)
    return losses.named


def dense_of(model: Model) -> Model:
    """The model without what its experts answer adds, with its own weights."""
    plain, state = build(replace(model.answers, experts=SharedWeights())), model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.eval()
