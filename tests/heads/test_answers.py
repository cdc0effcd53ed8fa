"""Answers weighed by a gate that reads their kind."""

import pytest
import torch
from tests.tiny import HOST

from chiasm import weights
from chiasm.data import easy_vqa
from chiasm.heads import AnswerKind, GatedAnswers, answerability, kind_of
from chiasm.heads.answers import NO_KIND, AnswersAndKinds

SAID = ["yes", "no", "3", "unanswerable", "a red cup", ""]


def head(**changes) -> AnswersAndKinds:
    made = GatedAnswers(inner=13, answers=len(SAID), **changes).build(
        HOST, torch.nn.Embedding(1, 1)
    )
    made.sort(SAID)
    return made


def states(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, 13, generator=torch.Generator().manual_seed(0))


def test_kinds_come_from_the_words():
    said = {
        "yes": AnswerKind.YES_NO,
        " No ": AnswerKind.YES_NO,
        "3": AnswerKind.NUMBER,
        "2.50": AnswerKind.NUMBER,
        "red": AnswerKind.OTHER,
        "3 cats": AnswerKind.OTHER,
        "unanswerable": AnswerKind.UNANSWERABLE,
    }
    assert {one: kind_of(one) for one in said} == said
    assert head().kinds.tolist() == [0, 0, 1, 3, 2, NO_KIND]
    with pytest.raises(ValueError, match="2 answers for a head of 6"):
        head().sort(["yes", "no"])


@pytest.mark.skipif(not weights.holds(easy_vqa.PACKAGE), reason="easy-vqa is not fetched")
def test_easy_vqa_has_two_kinds():
    kinds = {kind_of(one) for one in easy_vqa.answers()}
    assert kinds == {AnswerKind.YES_NO, AnswerKind.OTHER}


def test_the_gate_is_positive_and_keeps_signs():
    made, h = head(), 9 * states(31)
    gates, scores = made.gates(h), made.answer(h)
    assert bool((gates > 0).all() and (gates < 1).all())
    assert torch.equal(made.emit(h).sign(), scores.sign())
    torch.testing.assert_close(made.emit(h), (made.kind(h) @ made.gate.weight.T).sigmoid() * scores)


def test_a_gate_of_zeros_is_a_half_and_leaves_the_best_answer():
    made, h = head(), states(31)
    torch.nn.init.zeros_(made.gate.weight)
    assert torch.equal(made.gates(h), torch.full((31, len(SAID)), 0.5))
    assert torch.equal(made.emit(h).argmax(-1), made.answer(h).argmax(-1))


def test_the_kinds_loss_is_that_of_answers_that_have_one():
    made, h = head(kind_weight=0.5), states(5)
    labels = torch.tensor([0, 2, 5, 4, 5])
    found = made.auxiliary(h, labels)["answer kind"]
    known = torch.tensor([0, 1, 3])
    expected = torch.nn.functional.cross_entropy(made.kind(h[known]), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(found, 0.5 * expected)
    assert made.auxiliary(h[:1], labels[2:3])["answer kind"].item() == 0


def test_answerability_is_what_unanswerable_leaves():
    kinds = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 30.0], [5.0, 0.0, 0.0, -30.0]])
    torch.testing.assert_close(answerability(kinds), torch.tensor([0.75, 0.0, 1.0]))
