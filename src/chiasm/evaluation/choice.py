"""Choices: which of several answers a model finds likeliest, where an answer has many wordings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.errors import Misuse
from chiasm.evaluation.predict import Prediction
from chiasm.model import Model

AMONG = 10
"""Answers to choose from: chance is one in ten."""


def candidates(
    examples: Sequence[Example], *, among: int = AMONG, seed: int = 0
) -> list[tuple[str, ...]]:
    """For each example's first question its answer and `among - 1` of the others' answers, in an
    order that tells nothing.

    Raises:
        Misuse: fewer different answers than that.
    """
    known = sorted({example.turns[0].answer for example in examples})
    if len(known) < among:
        raise Misuse(f"{len(known)} different answers, {among} to choose from; give more examples")
    found: list[tuple[str, ...]] = []
    for example in examples:
        draw, own = Random(f"{seed}/{example.id}"), example.turns[0].answer
        others = draw.sample([answer for answer in known if answer != own], among - 1)
        found.append(tuple(draw.sample([own, *others], among)))
    return found


def choose(
    model: Model,
    collator: Collator,
    examples: Sequence[Example],
    offered: Sequence[Sequence[str]],
    *,
    batch: int = 8,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Prediction]:
    """The answer to each example's first question whose tokens are likeliest on average:
    argmax_a mean_t log p(a_t | image, question, a_<t).

    Answers of one example share its image and question in one packed sequence, where the system
    can. `progress` is told, after each batch, how many examples are done.
    """
    was_training = model.training
    model.eval()
    try:
        for first in range(0, len(examples), batch):
            part, answers = examples[first : first + batch], offered[first : first + batch]
            likely = likelihoods(model, collator, part, answers)
            for example, own, scores in zip(part, answers, likely, strict=True):
                turn = example.turns[0]
                said = own[int(scores.argmax())]
                yield Prediction(example.id, turn.question, turn.answer, said)
            if progress is not None:
                progress(min(first + batch, len(examples)))
    finally:
        model.train(was_training)


@torch.inference_mode()
def likelihoods(
    model: Model,
    collator: Collator,
    examples: Sequence[Example],
    offered: Sequence[Sequence[str]],
) -> list[Float[Tensor, " answer"]]:
    """Mean log-likelihood of the tokens of every offered answer, for each example."""
    asked = [
        replace(
            example,
            turns=tuple(Turn(example.turns[0].question, answer) for answer in answers),
            independent=True,
        )
        for example, answers in zip(examples, offered, strict=True)
    ]
    made = collator.collate(asked, teach=True)
    inputs = made.inputs.to(model.device)
    labels, table = inputs.labels, inputs.table
    assert labels is not None
    taught = labels >= 0
    scores = model.scores(model.hidden(inputs)[taught]).float()
    said = -F.cross_entropy(scores, labels[taught], reduction="none")
    sample, turn = taught.nonzero()[:, 0], table.turn[taught]
    width = int(table.turn.max()) + 1
    sums, counts = torch.zeros(2, len(labels) * width, device=labels.device)
    sums.index_add_(0, sample * width + turn, said)
    counts.index_add_(0, sample * width + turn, torch.ones_like(said))
    means = (sums / counts.clamp(min=1)).view(-1, width).cpu()
    found = [torch.zeros(len(answers)) for answers in offered]
    for at, turns in enumerate(made.turns):
        for place, (number, answer) in enumerate(turns):
            found[number][answer] = means[at, place]
    return found
