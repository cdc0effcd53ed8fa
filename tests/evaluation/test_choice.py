"""Choices by likelihood: packed answers score as each alone does, and the likeliest is taken."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import tiny_answers

from chiasm.assemble import build
from chiasm.data import load
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.errors import Misuse
from chiasm.evaluation.choice import candidates, choose, likelihoods
from chiasm.model import Model
from chiasm.spec import registered

EXAMPLES = load("scenes-captions", "test")[:13]
OFFERED = candidates(EXAMPLES, among=5)
# In the second, media rows look at the question, so that answers share no image rows.
SYSTEMS = [slug for slug in ("llava-1.5", "moda") if slug in registered()]


def made(slug: str) -> tuple[Model, Collator]:
    tokenizer = fit_tokenizer([turn.answer for e in EXAMPLES for turn in e.turns], 300)
    answers = tiny_answers(registered()[slug].at("nano"))
    answers = replace(
        answers, host=replace(answers.host, vocabulary=len(tokenizer), max_positions=400)
    )
    torch.manual_seed(0)
    return build(answers, seed=3).eval(), Collator(answers, NANO, tokenizer)


def alone(model: Model, collator: Collator, example: Example, answer: str) -> float:
    """One answer by itself, with the objective that it is taught by."""
    turn = Turn(example.turns[0].question, answer)
    with torch.no_grad():
        inputs = collator.batch([replace(example, turns=(turn,))], teach=True)
        return -float(model.losses(inputs).main)


@pytest.mark.parametrize("slug", SYSTEMS)
def test_answers_score_as_each_alone(slug: str) -> None:
    model, collator = made(slug)
    found = likelihoods(model, collator, EXAMPLES[:3], OFFERED[:3])
    for example, answers, scores in zip(EXAMPLES[:3], OFFERED[:3], found, strict=True):
        one = [alone(model, collator, example, answer) for answer in answers]
        torch.testing.assert_close(scores, torch.tensor(one), rtol=1e-4, atol=1e-4)
    chosen = [p.said for p in choose(model, collator, EXAMPLES[:3], OFFERED[:3], batch=2)]
    best = [a[int(s.argmax())] for a, s in zip(OFFERED[:3], found, strict=True)]
    assert chosen == best


def test_the_right_answer_is_among_distinct_others_and_its_place_tells_nothing() -> None:
    examples = load("scenes-captions", "test")[:300]
    offered = candidates(examples)
    places = []
    for example, answers in zip(examples, offered, strict=True):
        assert len(set(answers)) == len(answers) == 10
        places.append(answers.index(example.turns[0].answer))
    counts = torch.bincount(torch.tensor(places), minlength=10)
    assert counts.min() > 12 and counts.max() < 50
    assert offered == candidates(examples) != candidates(examples, seed=1)


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(Misuse, match="4 different answers, 10 to choose from"):
        candidates(EXAMPLES[:4])
