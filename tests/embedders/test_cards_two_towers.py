"""Cards of embedders with towers of their own: align, the projectors, structure, pcme, gram."""

import math
from dataclasses import replace

import pytest
import torch
from tests.embedders.few import (
    card,
    few,
    fresh,
    losses,
    nano,
    parameters,
    shapes,
    shared,
    taken,
)

from chiasm.embedders.batches import TEXT_TO_PICTURE
from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.frozen import Kept
from chiasm.embedders.stages.hard_matches import Matcher
from chiasm.embedders.stages.projectors import ProjectedTokens
from chiasm.embedders.stages.score import MatchProbability
from chiasm.embedders.states import States
from chiasm.embedders.teaching import freeze, round_losses
from chiasm.evaluation.representations import linear_cka, mutual_knn
from chiasm.objectives import SoftMatching
from chiasm.retrieval.embedding import Distribution, Single
from chiasm.spec.embedder import registered_embedders

PICTURE, TEXT = shown(few()[0].picture), words(few()[0].texts[0])


def vector(embedder, *parts, **told) -> torch.Tensor:
    return embedder.embed_contents([Content(parts=parts, **told)]).vectors[0]


@card("align")
def test_the_loss_at_random_weights_is_near_log_n(tmp_path):
    embedder = nano("align")
    batch = taken(embedder, tmp_path)
    embedder.model.eval()
    assert losses(embedder, batch)["contrast"].item() == pytest.approx(math.log(5), abs=1.0)


@card("align")
def test_a_constant_changes_no_loss_and_smoothing_has_a_floor():
    contrast = registered_embedders()["align"].at("paper").teaching.objective.contrast
    targets = torch.eye(5)
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    moved = contrast.judge(scores + 3, targets)
    torch.testing.assert_close(moved, contrast.judge(scores, targets))
    least = min(contrast.judge(scale * targets, targets).item() for scale in range(1, 40))
    entropy = -(0.92 * math.log(0.92) + 4 * 0.02 * math.log(0.02))
    assert least == pytest.approx(entropy, abs=5e-3) and least > 0


@card("align")
def test_a_picture_and_words_are_the_sum_of_their_unit_vectors():
    embedder = shared("align")
    alone = [vector(embedder, PICTURE), vector(embedder, TEXT)]
    both = vector(embedder, PICTURE, TEXT)
    expected = sum(torch.nn.functional.normalize(one, dim=-1) for one in alone)
    torch.testing.assert_close(both, expected)


@card("unimodal-to-multimodal")
def test_kept_features_give_the_loss_of_encoding_anew(tmp_path):
    embedder = nano("unimodal-to-multimodal")
    freeze(embedder.model, embedder.model.answers.teaching.stages[0].trained)
    batch = taken(embedder, tmp_path)
    embedder.model.eval()
    kept = Kept(embedder)
    found = [round_losses(embedder, batch, one)["contrast"].item() for one in (None, kept, kept)]
    assert len(kept.held) > 0
    assert found[1] == found[2] == pytest.approx(found[0], abs=1e-5)


@card("unimodal-to-multimodal")
def test_padding_changes_no_projected_mean():
    module = ProjectedTokens(out=7).build(11).eval()
    tokens = torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(1))
    states = States.all_of(tokens, 0)
    valid = torch.arange(5) < torch.tensor([[3], [5]])
    noise = torch.where(valid.unsqueeze(-1), tokens, torch.full_like(tokens, 1e3))
    found = [module(replace(states, tokens=one, valid=valid)).tokens for one in (tokens, noise)]
    assert torch.equal(*found)


@card("unimodal-to-multimodal")
def test_cka_does_not_change_under_rotation_and_scale():
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(23, 11, generator=generator), torch.randn(23, 7, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(11, 11, generator=generator))
    assert float(linear_cka(3 * x @ turn, y)) == pytest.approx(float(linear_cka(x, y)), abs=1e-5)


@card("structure")
def test_the_term_is_nothing_for_turned_originals_and_plain_without_weight(tmp_path):
    kept = registered_embedders()["structure"].at("paper").teaching.objective.terms[0]
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(13, 11, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(11, 11, generator=generator))
    assert float(kept.structure.judge(x, 5 * x @ turn)) == pytest.approx(0, abs=1e-6)
    assert float(kept.structure.judge(x, torch.randn(13, 7, generator=generator))) > 1e-3
    answers = registered_embedders()["structure"].at("nano")
    aligned = answers.teaching.objective
    without = replace(aligned, terms=(replace(kept, weight=0.0),))
    plain = replace(aligned, terms=())
    both = []
    for objective in (without, plain):
        own = fresh(replace(answers, teaching=replace(answers.teaching, objective=objective)))
        own.model.eval()
        batch = taken(own, tmp_path)
        both.append(torch.stack([*losses(own, batch).values()]).sum())
    assert torch.equal(*both)


@card("structure")
def test_a_space_shares_all_neighbours_with_itself():
    x = torch.randn(17, 5, generator=torch.Generator().manual_seed(4))
    assert float(mutual_knn(x, x, 4)) == 1


def gaussians(mean: torch.Tensor, log_sigma: float) -> Distribution:
    return Distribution(mean=mean, log_sigma=torch.full_like(mean, log_sigma))


@card("pcme")
def test_without_deviation_pairs_are_points_and_far_ones_stay_finite():
    matches = MatchProbability(draws=7).build()
    generator = torch.Generator().manual_seed(5)
    a, b = torch.randn(3, 11, generator=generator), torch.randn(5, 11, generator=generator)
    likely, unlikely = matches.both(gaussians(a, -40.0), gaussians(b, -40.0))
    logits = 2 * (matches.offset - matches.slope * torch.cdist(a, b))
    torch.testing.assert_close(likely, torch.nn.functional.logsigmoid(logits))
    torch.testing.assert_close(unlikely, torch.nn.functional.logsigmoid(-logits))
    far = matches.both(gaussians(a, 0.0), gaussians(b + 1e3, 0.0))
    assert all(bool(one.isfinite().all()) for one in far)
    found = SoftMatching(prior=0.0).judge(far, torch.ones(3, 5, dtype=torch.bool))
    assert bool(found.isfinite())


@card("pcme")
def test_the_probability_falls_with_distance():
    matches = MatchProbability(draws=7).build().eval()
    origin = torch.zeros(1, 11)
    found = [
        float(matches(gaussians(origin, -1.0), gaussians(origin + step, -1.0)))
        for step in (0.0, 0.3, 0.9, 2.0)
    ]
    assert found == sorted(found, reverse=True) and found[0] > found[-1]


@card("gram")
def test_two_modalities_give_the_sine_of_their_angle():
    embedder = shared("gram")
    queries = embedder.embed_contents([TEXT_TO_PICTURE.asks(pair, 0, 0) for pair in few()])
    documents = embedder.embed_contents([TEXT_TO_PICTURE.holds(pair, 0, 0) for pair in few()])
    found = -embedder.model.scores(queries, documents)
    ones = [
        Single(vectors=e.vectors[e.valid].unflatten(0, (len(e), -1))[:, 0]).unit()
        for e in (queries, documents)
    ]
    cosine = ones[0] @ ones[1].T
    torch.testing.assert_close(found, (1 - cosine**2).clamp(min=1e-8).sqrt(), rtol=0, atol=1e-3)
    assert float(found.min()) >= 0 and float(found.max()) <= 1


@card("gram")
def test_the_matching_term_learns_and_stops_where_nothing_is_wrong(tmp_path):
    embedder = nano("gram")
    matcher = embedder.model.judge.terms["matching"]
    assert isinstance(matcher, Matcher)
    found = losses(embedder, taken(embedder, tmp_path))
    assert found["matching"].item() == pytest.approx(0.1 * math.log(2), abs=0.05)


@card("pcme")
def test_resnet_152_has_its_size():
    encoder = sum(
        n for name, n in shapes("pcme", "paper").items() if name.startswith("encoders.image.")
    )
    assert encoder == 58_143_808  # torchvision's 60,192,808 without its classifier


@card("align")
def test_published_size():
    """BERT-Large without its pooler, and EfficientNet-L2 without its last convolution."""
    assert parameters("align", "paper") == pytest.approx(803e6, rel=0.01)
