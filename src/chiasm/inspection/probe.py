"""What survives on the way from the encoder to the answer: a readout at every stage.

Hidden in plain sight: VLMs overlook their visual representations. The same pictures and questions
two ways: read out of features without language, and answered by the model. The stages are the
encoder, the connector and every layer of the language model at the picture's rows, each as the mean
over the picture's tokens. Both are corrected for chance, that of the commonest answer. The pull of
the words alone: how often a grey picture changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.data.example import Example
from chiasm.errors import Misuse
from chiasm.evaluation.interval import wilson
from chiasm.evaluation.predict import Prediction
from chiasm.inspection.encoding import encoded
from chiasm.inspection.readout import corrected, fit_readout
from chiasm.inspection.subject import Subject, residuals, unseen
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How well one stage's features tell the answers."""

    name: str
    accuracy: float
    interval: tuple[float, float]
    corrected: float
    shuffled: float
    """Accuracy of a readout that was taught the same answers in another order."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What the words alone say: answers to grey pictures beside those to the real ones."""

    unchanged: float
    """The share of questions that get the same answer."""
    distance: float
    """Half the sum of differences between the shares of the answers (total variation)."""
    accuracy: float
    """Of the answers to grey pictures."""


@dataclass(frozen=True, kw_only=True)
class Probed:
    """One question, read out at every stage and answered by the model."""

    question: str
    classes: int
    taught: int
    asked: int
    chance: float
    stages: Sequence[Stage]
    answered: float
    answered_interval: tuple[float, float]
    answered_corrected: float
    prior: Prior


def repeated(examples: Sequence[Example], least: int) -> list[str]:
    """The questions asked of `least` pictures or more, with two answers or more, by frequency."""
    answers: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        answers[example.turns[-1].question].append(example.turns[-1].answer)
    kept = [q for q, said in answers.items() if len(said) >= least and len(set(said)) > 1]
    return sorted(kept, key=lambda q: (-len(answers[q]), q))


def about(examples: Sequence[Example], question: str) -> list[Example]:
    """The examples that ask exactly this."""
    return [one for one in examples if one.turns[-1].question == question]


@torch.no_grad()
def features(subject: Subject, *, batch: int = 32) -> dict[str, Float[Tensor, "item width"]]:
    """By stage, the mean over the picture's tokens, one row an example.

    A language model that holds no rows of the picture has no stages of its own.
    """
    found: dict[str, list[Tensor]] = defaultdict(list)
    depth = subject.one_stack().stack.depth
    for asked in subject.batches(batch):
        made = encoded(subject.model, asked.inputs)
        found["encoder"].append(made.features.mean(1))
        if made.connected is not None:
            found["connector"].append(made.connected.mean(1))
        table = asked.inputs.table
        image = (table.modality == int(Modality.IMAGE)) & table.valid
        if not bool(image.any(1).all()):
            continue
        share = (image / image.sum(1, keepdim=True)).unsqueeze(1)
        for layer, hidden in enumerate(residuals(subject, asked.inputs, range(1, depth + 1)), 1):
            found[f"layer {layer}"].append((share.to(hidden) @ hidden).squeeze(1))
    return {name: torch.cat(parts).double().cpu() for name, parts in found.items()}


def read_out(
    taught: dict[str, Tensor],
    asked: dict[str, Tensor],
    labels: Sequence[int],
    true: Sequence[int],
    chance: float,
    *,
    seed: int = 0,
    penalty: float = 1e-2,
) -> list[Stage]:
    """A readout of every stage, and one of the same answers in a drawn order."""
    mixed = list(labels)
    Random(seed).shuffle(mixed)
    truth = torch.tensor(true)
    found: list[Stage] = []
    for name, given in taught.items():
        right, wrong = (
            int((fit_readout(given, said, penalty=penalty)(asked[name]) == truth).sum())
            for said in (labels, mixed)
        )
        accuracy = right / len(true)
        found.append(
            Stage(
                name=name,
                accuracy=accuracy,
                interval=wilson(right, len(true)),
                corrected=corrected(accuracy, chance),
                shuffled=wrong / len(true),
            )
        )
    return found


def prior(real: Sequence[Prediction], grey: Sequence[Prediction]) -> Prior:
    """Answers to grey pictures beside those to the same questions about the real ones."""
    shares = [Counter(one.said for one in said) for said in (real, grey)]
    names = shares[0].keys() | shares[1].keys()
    return Prior(
        unchanged=fmean(a.said == b.said for a, b in zip(real, grey, strict=True)),
        distance=sum(abs(shares[0][name] - shares[1][name]) for name in names) / 2 / len(real),
        accuracy=fmean(one.right for one in grey),
    )


def probe(
    taught: Subject, asked: Subject, *, seed: int = 0, penalty: float = 1e-2, batch: int = 32
) -> Probed:
    """One question, which all examples ask: readouts learn from `taught`, both ways are judged on
    `asked`.

    Raises:
        Misuse: several questions, or one answer only.
    """
    questions = {one.turns[-1].question for one in (*taught.examples, *asked.examples)}
    known = sorted({one.turns[-1].answer for one in taught.examples})
    if len(questions) != 1 or len(known) < 2:
        raise Misuse(
            f"{len(questions)} questions with {len(known)} answers; a readout needs one question "
            "with two answers or more"
        )
    number = {answer: at for at, answer in enumerate(known)}
    labels = [number[one.turns[-1].answer] for one in taught.examples]
    true = [number.get(one.turns[-1].answer, -1) for one in asked.examples]
    chance = max(Counter(true).values()) / len(true)
    stages = read_out(
        features(taught, batch=batch),
        features(asked, batch=batch),
        labels,
        true,
        chance,
        seed=seed,
        penalty=penalty,
    )
    said = asked.answers()
    right = sum(one.right for one in said)
    return Probed(
        question=questions.pop(),
        classes=len(known),
        taught=len(labels),
        asked=len(true),
        chance=chance,
        stages=stages,
        answered=right / len(true),
        answered_interval=wilson(right, len(true)),
        answered_corrected=corrected(right / len(true), chance),
        prior=prior(said, asked.among(unseen(asked.examples)).answers()),
    )
