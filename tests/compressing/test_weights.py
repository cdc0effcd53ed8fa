"""Weights in 8 bits while a context is entered, alone and with everything else."""

from typing import Any

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_dropping import decode, fresh, logits
from torch import nn

import chiasm
from chiasm.compressing import weights
from chiasm.compressing.hosts import host_of
from chiasm.errors import Misuse

pytest.importorskip("torchao")


def linear(model: nn.Module) -> list[nn.Linear]:
    layers: Any = host_of(model).decoder.layers
    return [part for part in layers.modules() if isinstance(part, nn.Linear)]


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "smolvlm"])
def test_matrices_of_the_decoder_only_and_off_by_half_a_step(kind: str) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    plain, given = logits(model, batch), {n: p for n, p in model.named_parameters()}
    exact = [part.weight for part in linear(model)]
    with chiasm.compress(model, "int8-weights"):
        rough = logits(model, batch)
        for part, weight in zip(linear(model), exact, strict=True):
            step = weight.abs().amax(1, keepdim=True) / 127
            back = part.weight.dequantize()  # type: ignore[operator]
            assert bool(((back - weight).abs() <= step * 0.501).all())
        changed = {n for n, p in model.named_parameters() if p is not given.get(n)}
        inside = {n for n, _ in model.named_parameters() if "layers." in n and "_proj" in n}
        assert changed <= {n for n in inside if "vision" not in n}
        assert len(changed) == len(exact)
    assert 0 < float((rough - plain).abs().max()) < float(plain.std())
    assert {n: id(p) for n, p in model.named_parameters()} == {n: id(p) for n, p in given.items()}
    assert not any("extra_repr" in vars(part) for part in linear(model))
    assert torch.equal(logits(model, batch), plain)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_reducer_packed_keys_and_weights_together(kind: str) -> None:
    """Equal to the reducer and the packing on a model whose matrices are the rounded ones."""
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    both = ["vscan:keep=0.8", "visual-kv-quant:bits=1"]
    with chiasm.compress(model, [*both, "int8-weights"]) as context:
        got, prefill = decode(model, batch, 4), logits(model, batch)
        assert context.kept[-1][1] < context.kept[0][1]
        fresh(model)
        assert tiny.generate(model, batch.told, 3)[1].isfinite().all()
    with chiasm.compress(model, "int8-weights"):
        rounded = [part.weight.dequantize() for part in linear(model)]  # type: ignore[operator]
    for part, weight in zip(linear(model), rounded, strict=True):
        part.weight = nn.Parameter(weight)
    with chiasm.compress(model, both):
        torch.testing.assert_close(logits(model, batch), prefill, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(decode(model, batch, 4), got, rtol=1e-4, atol=1e-4)


def test_a_missing_library_is_named_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    model = tiny.host("llava", 1)
    with pytest.raises(Misuse, match=r"pip install 'chiasm\[quantise\]'"):
        chiasm.compress(model, ["random:keep=0.5", "int8-weights"])
