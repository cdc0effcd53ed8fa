"""The card of 164 occ-mllm: two encoders in one, and learning at test time."""

import inspect

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, said, tiny

from chiasm.connectors import MLP, MixedHalves
from chiasm.errors import Misuse
from chiasm.stream import Features
from chiasm.training.test_time import adapted

SLUG = "occ-mllm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SEEN, HIDDEN = ([(Picture(at, 30, 50), said(4, 2))] for at in (1, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def made(width: int = 22, out: int = 7) -> torch.nn.Module:
    torch.manual_seed(0)
    return MixedHalves(each=MLP()).build(width, out)


@lawful
def test_the_share_starts_at_nine_tenths_and_mixes_both():
    mixer, f = made(), torch.randn(2, 6, 22)
    mixed = mixer.mixed(Features(f, (2, 3))).tokens
    torch.testing.assert_close(mixed, 0.9 * f[..., :11] + 0.1 * f[..., 11:])
    mixed.sum().backward()
    assert mixer.share.grad.abs() > 0


@lawful
def test_with_a_share_of_one_it_is_the_model_of_one_encoder():
    mixer, f = made(), torch.randn(2, 6, 22)
    with torch.no_grad():
        mixer.share.fill_(float("inf"))
    alone = mixer.each.connect(Features(f[..., :11].contiguous(), (2, 3)))
    assert torch.equal(mixer.connect(Features(f, (2, 3))).embeddings, alone.embeddings)


@lawful
def test_halves_that_are_none_are_refused():
    with pytest.raises(ValueError, match="features 21 wide are no two halves"):
        made(width=21)
    with pytest.raises(ValueError, match=r"a share of 1\.0 cannot be learned"):
        MixedHalves(each=MLP(), start=1.0)


def tokens(model, sample) -> torch.Tensor:
    media = model.media(batch(tiny(SLUG), sample, teach=False))
    assert media is not None
    return media.entering


@lawful
def test_weights_after_a_test_sample_are_what_they_were_and_the_sample_was_learned():
    model = fresh(tiny(SLUG))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    aim = tokens(model, SEEN).detach()

    def loss(of) -> torch.Tensor:
        return (tokens(of, HIDDEN) - aim).square().mean()

    far = float(loss(model).detach())
    with adapted(model, ("connector",), loss, learning_rate=1e-2):
        near = float(loss(model).detach())
        changed = [n for n, t in model.state_dict().items() if not torch.equal(t, before[n])]
    assert near < far
    assert changed and all(name.startswith("connector.") for name in changed)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@lawful
def test_without_steps_nothing_changes_and_an_error_restores_too():
    model = fresh(tiny(SLUG))
    inputs = batch(tiny(SLUG), HIDDEN, teach=False)
    plain = model(inputs)
    with adapted(model, ("connector",), lambda of: tokens(of, HIDDEN).mean(), steps=0):
        assert torch.equal(model(inputs), plain)
    with (
        pytest.raises(ZeroDivisionError),
        adapted(model, ("connector",), lambda of: tokens(of, HIDDEN).square().mean()),
    ):
        raise ZeroDivisionError
    assert torch.equal(model(inputs), plain)
    with (
        pytest.raises(Misuse, match="no parameter in tower"),
        adapted(model, ("tower",), lambda of: tokens(of, HIDDEN).mean()),
    ):
        pass


@lawful
def test_no_label_can_be_read():
    """What adapts is a function of the model alone, and a sample without labels suffices."""
    assert [*inspect.signature(adapted).parameters][:3] == ["model", "parts", "loss"]
    assert batch(tiny(SLUG), HIDDEN, teach=False).labels is None


@lawful
def test_published_sizes():
    """Two CLIP-L encoders; the share is the one further parameter of LLaVA-1.5's projector."""
    model = on_meta(SYSTEM.at("paper"))
    assert count(model, "connector") == 20_979_712 + 1
    assert 600e6 < count(model, "encoder") < 610e6
