"""The card of 161 zorro, its ViT form; the HiP form's streams are tested in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, shared_model, tiny

from chiasm.assemble import build
from chiasm.backbone import Execution
from chiasm.stream import Modality, Role, Stream, TokenTable
from chiasm.visibility import Everything, Sight

SLUG = "zorro"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
KINDS = {"text": Modality.TEXT, "image": Modality.IMAGE, "fusion": Modality.LEARNED}


def stream(text: int, image: int) -> Stream:
    """Words and a picture, each drawn from its own seed; no answer."""
    sample = (said(3, text), Picture(image, 30, 50), said(4, text + 100))
    return shared_model(SLUG).stream(batch(tiny(SLUG), [sample]))


def rows(table: TokenTable, kind: str) -> torch.Tensor:
    return (table.modality[0] == int(KINDS[kind])).nonzero()[:, 0]


def outputs(given: Stream) -> dict[str, torch.Tensor]:
    hidden = shared_model(SLUG).decoder(given)
    return {kind: hidden[:, rows(given.table, kind)] for kind in KINDS}


def only(given: Stream, kind: str) -> Stream:
    """Unimodal inference: the rows of one modality."""
    index = rows(given.table, kind)[None]
    return Stream(given.embeddings[:, index[0]], given.table.rows(index))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_modality_is_the_same_whatever_stands_beside_it():
    both, other_image, other_text = (
        outputs(stream(1, 2)),
        outputs(stream(1, 3)),
        outputs(stream(4, 2)),
    )
    assert torch.equal(both["text"], other_image["text"])
    assert torch.equal(both["image"], other_text["image"])
    for changed in (other_image, other_text):
        assert (both["fusion"] - changed["fusion"]).abs().max() > 1e-3


@lawful
@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_modality_alone_gives_what_it_gives_beside_the_other(kind):
    given = stream(1, 2)
    close(outputs(only(given, kind))[kind], outputs(given)[kind], 1e-5)


@lawful
def test_no_gradient_reaches_one_modality_from_the_other():
    given = stream(1, 2)
    embeddings = given.embeddings.detach().requires_grad_()
    made = outputs(replace(given, embeddings=embeddings))
    for kind, other in (("text", "image"), ("image", "text")):
        (gradient,) = torch.autograd.grad(made[kind].square().sum(), embeddings, retain_graph=True)
        assert gradient[0, rows(given.table, kind)].abs().max() > 0
        assert not gradient[0, rows(given.table, other)].any()
        assert not gradient[0, rows(given.table, "fusion")].any()
    (gradient,) = torch.autograd.grad(made["fusion"].square().sum(), embeddings)
    assert all(gradient[0, rows(given.table, kind)].abs().max() > 0 for kind in KINDS)


@lawful
def test_answers_read_everything_and_are_read_by_nobody():
    def logits(image: int, answer: int) -> torch.Tensor:
        sample = (
            Picture(image, 30, 50),
            said(3, 1),
            said(1, 2, Role.TAG),
            said(2, answer, Role.ASSISTANT),
        )
        return shared_model(SLUG)(batch(tiny(SLUG), [sample]))

    one, other = logits(1, 7), logits(1, 8)
    close(one[:, :-2], other[:, :-2], 1e-6)
    assert (one[:, -3] - logits(2, 7)[:, -3]).abs().max() > 1e-3


@lawful
def test_a_rule_that_permits_everything_is_the_plain_transformer():
    open_rule = Sight(sequence=Everything(), memory=Everything())
    model = fresh(replace(tiny(SLUG), visibility=open_rule))
    given = batch(tiny(SLUG), [(said(3, 1), Picture(1, 30, 50))])
    close(model(given), model(given, execution=Execution.MASKED), 1e-5)
    pure = build(tiny(SLUG))
    assert count(pure) == count(model)
    other = batch(tiny(SLUG), [(said(3, 1), Picture(2, 30, 50))])
    assert (model(given)[:, :3] - model(other)[:, :3]).abs().max() > 1e-3


@lawful
def test_it_holds_as_many_parameters_as_the_plain_transformer():
    answers = SYSTEM.at("paper")
    plain = replace(answers, visibility=Sight(sequence=Everything(), memory=Everything()))
    assert count(on_meta(answers)) == count(on_meta(plain))
    assert answers.connector.learned == answers.positions.learned == 16
