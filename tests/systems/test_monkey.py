"""The card of 138 monkey."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.assemble import build
from chiasm.encoders import VisionTransformer, WindowLoRA
from chiasm.errors import Misuse
from chiasm.spec import Scale, Windows, geometry

SLUG = "monkey"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
BASE = VisionTransformer(patch=8, width=20, depth=2, heads=4, ff_width=31)
CONFIG = WindowLoRA(base=BASE, windows=2, rank=3, inner_rank=5, dropout=0.0)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def images(views: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(views, 3, 16, 24, generator=torch.Generator().manual_seed(seed))


def opened(config: WindowLoRA = CONFIG):
    """An encoder whose pairs matter."""
    encoder = config.build()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if ".experts." in f".{name}":
                parameter.add_(0.3 * torch.randn(parameter.shape))
    return encoder


@lawful
def test_a_fresh_encoder_gives_every_view_the_bases_own_features():
    encoder, base = CONFIG.build(), BASE.build()
    base.load_state_dict({k: v for k, v in encoder.state_dict().items() if "experts" not in k})
    assert torch.equal(encoder(images()).tokens, base(images()).tokens)


@lawful
def test_the_whole_image_passes_the_base_alone():
    encoder, base = opened(), BASE.build()
    base.load_state_dict({k: v for k, v in encoder.state_dict().items() if "experts" not in k})
    ours, theirs = encoder(images()).tokens, base(images()).tokens
    close(ours[2], theirs[2], 1e-6)
    assert float((ours[:2] - theirs[:2]).detach().abs().amin(0).max()) > 1e-2


@lawful
def test_low_rank_weights_have_the_published_size():
    model = on_meta(PAPER)
    pairs = model.encoder.experts
    assert sum(p.numel() for p in pairs[0][0].parameters()) == 266_243
    assert count(model, "experts") == 51_118_656 == 48 * 4 * 266_243
    [stage] = PAPER.teaching.stages
    assert "experts" in stage.trained and "encoder" not in stage.trained


@lawful
def test_the_gradient_of_a_window_stays_in_its_set():
    for view in range(3):
        encoder = opened()
        encoder(images()).tokens[view].square().sum().backward()
        for layer in encoder.experts:
            for window, pairs in enumerate(layer):
                touched = any(p.grad is not None and bool(p.grad.any()) for p in pairs.parameters())
                assert touched == (window == view)


@lawful
def test_a_layer_view_by_view():
    """Slow reference: one view at a time, with its weights merged; values and gradients."""
    encoder, given = opened(), images().requires_grad_()
    fast = encoder(given).tokens
    slow = []
    for view in range(3):
        base = BASE.build()
        base.load_state_dict({k: v for k, v in encoder.state_dict().items() if "experts" not in k})
        merged = dict(base.named_parameters())
        beside = []
        for depth, layer in enumerate(encoder.experts):
            if view < 2:
                pairs = layer[view]
                for name, pair in (("qkv", pairs.into), ("out", pairs.out)):
                    delta = pair.scale * pair.up.weight @ pair.down.weight
                    with torch.no_grad():
                        merged[f"layers.{depth}.{name}.weight"] += delta
                pair = pairs.beside
                beside.append((pair.scale * pair.up.weight @ pair.down.weight).detach())
            else:
                beside.append(torch.zeros(20, 20))

        def through(x, permission, base=base, beside=beside):
            states = [x]
            for layer, delta in zip(base.layers, beside, strict=True):
                x = x + layer.out(layer.mixed(layer.qkv(layer.norm1(x)), permission))
                x = x + layer.mlp(layer.norm2(x)) + x @ delta.T
                states.append(x)
            return states

        slow.append(base.features(given[view : view + 1], None, through).tokens)
    together = torch.cat(slow)
    close(fast, together, 1e-5)
    found = [
        torch.autograd.grad(o.square().sum(), given, retain_graph=True)[0] for o in (fast, together)
    ]
    close(found[0], found[1], 1e-4)


@lawful
def test_a_view_keeps_its_window_wherever_it_lies_in_the_batch():
    encoder, given = opened(), images(6)
    order = torch.tensor([4, 2, 0, 5, 3, 1])
    moved = encoder(given[order], None, order).tokens
    close(moved, encoder(given).tokens[order], 1e-6)
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [(Picture(1, 30, 50), said(2, 1))])
    back = torch.arange(5).flip(0)
    turned = replace(inputs, images=inputs.images[back], owners=back[inputs.owners])
    close(model(turned), model(inputs), 1e-5)


@lawful
def test_views_that_are_no_whole_images_are_refused():
    with pytest.raises(Misuse, match="4 views are no whole images of 3"):
        CONFIG.build()(images(4))
    wrong = replace(tiny(SLUG), views=Windows(side=32, rows=1, columns=2))
    with pytest.raises(Misuse, match="3 views are no whole images of 5"):
        build(wrong)(batch(wrong, [(Picture(1, 30, 50), said(2, 1))]))


@lawful
def test_views_times_256_tokens():
    assert geometry(PAPER, (333, 777)).placeholders == 5 * 256 == 1280
    wide = replace(PAPER, views=Windows(side=448, rows=2, columns=3))
    assert geometry(wide, (896, 1344)).placeholders == 7 * 256 == 1792


@lawful
def test_its_bill_is_what_its_operators_do():
    counted = operator_macs(lambda: opened()(images()))
    assert abs(3 * sum(w.macs for w in CONFIG.work((16, 24))) - counted) < 3
