"""The card of 061 linear-clip-vizwiz; its head by itself is tested in `tests/heads`."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import HOST, Picture, batch, ragged, said, tiny

from chiasm.assemble import build
from chiasm.fusion import JoinedFeatures
from chiasm.fusion.joined_features import Trunk
from chiasm.heads import AnswerKind, GatedAnswers
from chiasm.objectives import NextToken
from chiasm.spec.slots import SlotParts
from chiasm.training.freezing import freeze
from chiasm.visibility import dense_permission

SLUG = "linear-clip-vizwiz"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
TRAINED = ("fusion", "head")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_no_gradient_reaches_the_encoders_and_kept_features_give_the_same_loss():
    model, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    for scale in ("nano", "smol", "paper"):
        assert all(stage.trained == TRAINED for stage in SYSTEM.at(scale).teaching.stages)
    freeze(model, TRAINED)
    trunk, kept = model.decoder.epilogue, []
    assert isinstance(trunk, Trunk)
    handle = trunk.layers[0].register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    torch.manual_seed(0)
    whole = model.losses(inputs)
    handle.remove()
    whole.total.backward()
    for part in ("encoder", "decoder"):
        assert all(one.grad is None for one in model.part(part)) and count(model, part)
    (features,) = kept
    assert not features.requires_grad
    torch.manual_seed(0)
    taught = inputs.labels >= 0
    h = trunk.layers(features)[taught]
    loss = NextToken().judge(model.head.emit(h), inputs.labels[taught])
    again = loss + model.head.auxiliary(h, inputs.labels[taught])["answer kind"]
    assert torch.equal(again, whole.total)


@lawful
def test_a_row_reads_its_own_state_and_the_mean_of_the_features_it_sees():
    model = build(tiny(SLUG)).eval()
    inputs, kept = batch(tiny(SLUG), [(Picture(1, 40, 70), said(5, 1))]), []
    trunk = model.decoder.epilogue
    trunk.layers[0].register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    model(inputs)
    own, seen = kept[0][0].split([HOST.width, trunk.features], -1)
    mean = model.encoder(inputs.images).tokens[0].mean(0)
    torch.testing.assert_close(seen, mean.expand_as(seen), rtol=1e-4, atol=1e-4)
    alone = batch(tiny(SLUG), [(said(5, 1),)])
    model(alone)
    without, nothing = kept[1][0].split([HOST.width, trunk.features], -1)
    assert torch.equal(nothing, torch.zeros_like(nothing))
    torch.testing.assert_close(without, own)


EACH, WIDTH, INNER = 7, 24, 61


def toy(seed: int, many: int, noise: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy features of a question, which tell the kind of answer, and of a picture, which tell
    which of the seven answers that this kind alone has; and the answer.
    """
    fixed, drawn = (torch.Generator().manual_seed(at) for at in (0, seed))
    kinds, whiches = (torch.randn(n, WIDTH, generator=fixed) for n in (len(AnswerKind), EACH))
    kind, which = (torch.randint(len(of), (many,), generator=drawn) for of in (kinds, whiches))
    clean = torch.cat([kinds[kind], whiches[which]], -1)
    return clean + noise * torch.randn(clean.shape, generator=drawn), kind * EACH + which


def accuracy(seed: int, kind_weight: float) -> float:
    """Of held-out answers, once the linear layers were taught a hundred."""
    torch.manual_seed(seed)
    classes = EACH * len(AnswerKind)
    trunk = Trunk(JoinedFeatures(features=WIDTH, inner=INNER), WIDTH)
    config = GatedAnswers(inner=INNER, answers=classes, kind_weight=kind_weight)
    head = config.build(HOST, torch.nn.Embedding(1, 1))
    head.kinds.copy_(torch.arange(classes) // EACH)
    adam = torch.optim.AdamW([*trunk.parameters(), *head.parameters()], lr=3e-3)
    features, right = toy(seed + 1, 100)
    for _ in range(200):
        adam.zero_grad()
        h = trunk.layers(features)
        kinds = head.auxiliary(h, right)["answer kind"]
        (NextToken().judge(head.emit(h), right) + kinds).backward()
        adam.step()
    asked, expected = toy(seed + 1000, 2000)
    with torch.no_grad():
        found = head.emit(trunk.eval().layers(asked)).argmax(-1)
    return float((found == expected).float().mean())


@lawful
def test_without_the_kinds_loss_disjoint_kinds_are_answered_worse():
    gains = [accuracy(seed, 1.0) - accuracy(seed, 0.0) for seed in range(5)]
    assert fmean(gains) > 0.01


@lawful
def test_published_sizes():
    """Linear layers of CLIP ViT-L/14's two vectors of 768, and 5,726 answers of four kinds."""
    model = on_meta(SYSTEM.at("paper"))
    joined, answers = 2 * 768, 5_726
    assert count(model, "fusion") == 2 * joined + 512 * joined + 512 + 2 * 512
    assert count(model, "head") == 512 * answers + 512 * 4 + 4 * answers
    assert 0.42e9 < count(model, "encoder", "decoder") < 0.44e9


@lawful
def test_widths_that_disagree_are_refused():
    parts = SlotParts(
        memory_width=19,
        projector=torch.nn.Identity,
        stack=torch.nn.Identity,
        permit=dense_permission,
    )
    with pytest.raises(ValueError, match="tokens 19 wide for a fusion that joins 24"):
        JoinedFeatures(features=24, inner=INNER).fill(replace(HOST), parts)
