"""Hidden in plain sight (249): features read without language, beside the answer."""

import pytest
import torch
from PIL import Image

from chiasm.data.example import Example, Turn
from chiasm.errors import Misuse
from chiasm.evaluation.predict import Prediction
from chiasm.inspection.probe import about, features, prior, probe, read_out, repeated
from chiasm.inspection.readout import corrected, fit_readout
from chiasm.inspection.subject import unseen

lawful = pytest.mark.evidence(slug="hidden-plain-sight", grade="lawful")


def blobs(count: int, seed: int, width: int = 13):
    """Three classes whose means lie apart."""
    draw = torch.Generator().manual_seed(seed)
    means = torch.randn(3, width, generator=torch.Generator().manual_seed(1)).double()
    labels = torch.randint(3, (count,), generator=draw)
    return means[labels] + 0.5 * torch.randn(count, width, generator=draw).double(), labels.tolist()


def test_the_readout_is_the_ridge_regression_it_says():
    x, labels = blobs(60, 2)
    found = fit_readout(x, labels, penalty=0.3)
    z = (x - x.mean(0)) / x.std(0)
    y = torch.nn.functional.one_hot(torch.tensor(labels)).double()
    w = torch.zeros(13, 3, dtype=torch.float64, requires_grad=True)
    loss = (z @ w - (y - y.mean(0))).square().sum() / 2 + 0.3 * 60 * w.square().sum() / 2
    loss.backward()
    direct = torch.linalg.solve(z.T @ z + 0.3 * 60 * torch.eye(13).double(), z.T @ (y - y.mean(0)))
    torch.testing.assert_close(found.weights, direct)
    with torch.no_grad():
        at = found.weights
        slope = z.T @ (z @ at - (y - y.mean(0))) + 0.3 * 60 * at
    assert float(slope.abs().max()) < 1e-9 < float(w.grad.abs().max())


def test_wide_features_give_the_same_readout_by_their_products():
    x, labels = blobs(60, 2)
    wide = torch.cat(
        [x, torch.randn(60, 80, generator=torch.Generator().manual_seed(4)).double()], 1
    )
    found = fit_readout(wide, labels)
    z = (wide - wide.mean(0)) / wide.std(0)
    y = torch.nn.functional.one_hot(torch.tensor(labels)).double()
    square = z.T @ z + 0.6 * torch.eye(93).double()
    torch.testing.assert_close(found.weights, torch.linalg.solve(square, z.T @ (y - y.mean(0))))


@lawful
def test_what_is_there_is_read_and_answers_in_another_order_are_chance():
    (x, labels), (asked, true) = blobs(400, 5), blobs(400, 6)
    noise = torch.randn(800, 13, generator=torch.Generator().manual_seed(8)).double()
    chance = max(true.count(k) for k in range(3)) / 400
    stages = read_out(
        {"features": x, "noise": noise[:400]},
        {"features": asked, "noise": noise[400:]},
        labels,
        true,
        chance,
    )
    there, nothing = stages
    assert there.accuracy > 0.95 and abs(there.shuffled - chance) < 0.1
    assert abs(nothing.accuracy - chance) < 0.1 and abs(nothing.corrected) < 0.15
    assert there.corrected == pytest.approx((there.accuracy - chance) / (1 - chance))


@lawful
def test_chance_is_nothing_and_always_right_is_one():
    assert corrected(0.25, 0.25) == 0 and corrected(1, 0.4) == 1 and corrected(0.1, 0.25) < 0
    with pytest.raises(Misuse, match="one answer"):
        corrected(1, 1)


@lawful
def test_features_need_no_call_of_the_language_models_head(subjects):
    """Every stage is read before a word is scored."""
    subject = subjects("llava-1.5")
    found = features(subject)
    depth = subject.model.answers.host.depth
    assert list(found) == ["encoder", "connector", *(f"layer {at}" for at in range(1, depth + 1))]
    assert {len(one) for one in found.values()} == {len(subject.examples)}
    called = []
    hook = subject.model.head.register_forward_hook(lambda *told: called.append(told))
    scores = subject.model.head.emit
    subject.model.head.emit = lambda hidden: called.append(hidden) or scores(hidden)
    again = features(subject)
    del subject.model.head.emit
    hook.remove()
    assert not called
    assert all(torch.equal(found[name], again[name]) for name in found)
    grey = features(subject.among(unseen(subject.examples)))
    assert float(grey["encoder"].std(0).max()) < 1e-6 < float(found["encoder"].std(0).max())


def test_stages_of_a_memory_end_before_the_layers(subjects):
    assert list(features(subjects("flamingo"))) == ["encoder", "connector"]


def picture(color: str) -> Image.Image:
    return Image.new("RGB", (20, 20), color)


def asking(count: int) -> list[Example]:
    colors = ("red", "green", "blue")
    return [
        Example(str(at), (picture(colors[at % 3]),), (Turn("which?", colors[at % 3]),))
        for at in range(count)
    ]


@pytest.mark.evidence(slug="hidden-plain-sight", grade="builds")
def test_a_colour_is_in_the_features_of_a_model_that_cannot_say_it(subjects):
    """A fresh model answers nothing right; its encoder already tells red from blue."""
    subject = subjects("llava-1.5")
    found = probe(subject.among(asking(30)), subject.among(asking(21)))
    assert (found.classes, found.taught, found.asked) == (3, 30, 21)
    assert found.chance == pytest.approx(1 / 3)
    assert found.stages[0].name == "encoder" and found.stages[0].accuracy == 1
    assert found.answered <= found.chance and found.answered_corrected <= 0
    with pytest.raises(Misuse, match="questions"):
        probe(subject, subject)


@lawful
def test_the_prior_compares_answers_to_grey_pictures():
    def said(*words: str) -> list[Prediction]:
        return [Prediction(str(at), "?", "yes", word) for at, word in enumerate(words)]

    found = prior(said("yes", "no", "yes", "red"), said("yes", "yes", "yes", "yes"))
    assert (found.unchanged, found.distance, found.accuracy) == (0.5, 0.5, 1.0)
    same = prior(said("a", "b"), said("b", "a"))
    assert (same.unchanged, same.distance) == (0.0, 0.0)


def test_questions_are_those_asked_often_with_several_answers():
    mixed = [*asking(6), Example("x", (), (Turn("once?", "yes"),))]
    assert repeated(mixed, 3) == ["which?"] and len(about(mixed, "which?")) == 6
    assert repeated(mixed[:1] * 5, 3) == []
