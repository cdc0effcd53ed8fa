"""Rotary positions against transformers' own, kind by kind."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, Qwen2VLTextConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb
from transformers.models.qwen2_vl import modeling_qwen2_vl as qwen2_vl

from chiasm.backbone.stack import rotary_of
from chiasm.layers import Rotary, rotate
from chiasm.spec import Host

WIDTH, HEAD_WIDTH, HEADS = 66, 22, 3
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"rope_type": "linear", "factor": 3.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
}


def host(**changes: Any) -> Host:
    sizes: dict[str, Any] = dict(
        vocabulary=13, width=WIDTH, depth=1, heads=HEADS, kv_heads=1, ff_width=17
    )
    return Host(**{**sizes, "head_width": HEAD_WIDTH, "max_positions": 256, **changes})


@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_transformers(kind: str, theta: float) -> None:
    scaling = KINDS[kind]
    config = LlamaConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        head_dim=HEAD_WIDTH,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": theta, **scaling},
    )
    positions = torch.tensor([[0, 1, 2, 100, 255], [7, 5, 3, 2, 250]])
    q, k = torch.randn(2, HEADS, 5, HEAD_WIDTH), torch.randn(2, 1, 5, HEAD_WIDTH)
    cos, sin = LlamaRotaryEmbedding(config)(q, positions)
    expected_q, expected_k = apply_rotary_pos_emb(q, k, cos, sin)
    tables = rotary_of(host(rope_theta=theta, rope_scaling=tuple(scaling.items())))(
        positions.float().unsqueeze(-1)
    )
    torch.testing.assert_close(rotate(q, tables), expected_q, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rotate(k, tables), expected_k, atol=1e-5, rtol=1e-5)


def test_sections_equal_qwen2_vl() -> None:
    sections = (2, 4, 5)
    config = Qwen2VLTextConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": list(sections),
        },
    )
    positions = torch.randint(0, 50, (2, 7, 3))
    q, k = torch.randn(2, HEADS, 7, HEAD_WIDTH), torch.randn(2, 1, 7, HEAD_WIDTH)
    cos, sin = qwen2_vl.Qwen2VLRotaryEmbedding(config)(q, positions.permute(2, 0, 1))
    if cos.dim() == 4:  # early transformers 5 picks each section's axis in the next step
        turn = qwen2_vl.apply_multimodal_rotary_pos_emb
        expected_q, expected_k = turn(q, k, cos, sin, list(sections))
    else:
        expected_q, expected_k = apply_rotary_pos_emb(q, k, cos, sin)
    tables = rotary_of(host(rope_sections=sections))(positions.float())
    torch.testing.assert_close(rotate(q, tables), expected_q, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rotate(k, tables), expected_k, atol=1e-5, rtol=1e-5)


def test_axes_that_agree_are_one_axis() -> None:
    place = torch.randint(0, 50, (2, 7, 1)).float()
    one, three = rotary_of(host()), rotary_of(host(rope_sections=(2, 4, 5)))
    assert (one(place).cos == three(place.expand(-1, -1, 3)).cos).all()


def test_scores_depend_on_distance_only() -> None:
    rotary = rotary_of(host())
    q, k = torch.randn(1, 1, 1, HEAD_WIDTH), torch.randn(1, 1, 1, HEAD_WIDTH)

    def score(at_q: float, at_k: float) -> float:
        turned_q = rotate(q, rotary(torch.tensor([[[at_q]]])))
        return float((turned_q * rotate(k, rotary(torch.tensor([[[at_k]]])))).sum())

    assert score(3, 1) == pytest.approx(score(43, 41), abs=1e-4)
    assert score(2.5, 0.25) == pytest.approx(score(12.5, 10.25), abs=1e-4)
    assert score(3, 1) != pytest.approx(score(3, 2), abs=1e-3)


def test_positions_keep_their_precision_in_a_half_precision_model() -> None:
    place = torch.tensor([[[4097.0]]])
    full, half = rotary_of(host())(place), rotary_of(host()).to(torch.bfloat16)(place)
    assert half.cos.dtype == torch.float32
    assert (half.cos == full.cos).all() and (half.sin == full.sin).all()


def test_sections_must_fill_the_head() -> None:
    with pytest.raises(ValueError, match="sum to 9, the head has 11"):
        Rotary(torch.ones(11), sections=(2, 3, 4))


def test_neighbouring_pairs_are_cohere_s():
    """Interleaved rotary positions equal transformers' Cohere, values and gradients."""
    from transformers.models.cohere.modeling_cohere import apply_rotary_pos_emb, rotate_half

    generator = torch.Generator().manual_seed(0)
    frequencies = torch.tensor([1.0, 0.3, 0.07])
    position = torch.tensor([[0.0, 2.0, 5.0, 9.5]]).unsqueeze(-1)
    x = torch.randn(1, 2, 4, 6, generator=generator, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    got = rotate(x, Rotary(frequencies, interleaved=True)(position))
    angles = (position * frequencies).repeat_interleave(2, dim=-1)
    expected, _ = apply_rotary_pos_emb(y, y, angles.cos(), angles.sin())
    torch.testing.assert_close(got, expected)
    assert not torch.equal(rotate_half(y), y)
    weights = torch.randn(got.shape, generator=generator)
    (got * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
