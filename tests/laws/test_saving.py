"""Law: a model's tensors saved and loaded give the same logits, bit for bit."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny import batch, every, ragged, shared_model, tiny

from chiasm.assemble import build


@pytest.mark.parametrize("slug", every())
def test_saved_and_loaded_is_exact(slug, tmp_path):
    model, inputs = shared_model(slug), batch(tiny(slug), ragged())
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors")
    other = build(tiny(slug), seed=9).eval().requires_grad_(False)
    assert not torch.equal(other(inputs), model(inputs))
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(inputs), model(inputs))


@pytest.mark.parametrize("slug", every())
def test_the_same_seed_draws_the_same_weights(slug):
    one, same, other = (build(tiny(slug), seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("slug", every())
def test_meta_has_the_same_tensors(slug):
    real, meta = build(tiny(slug)).state_dict(), build(tiny(slug), device="meta").state_dict()
    assert {n: t.shape for n, t in real.items()} == {n: t.shape for n, t in meta.items()}
    assert all(t.is_meta for t in meta.values())
