"""The Perceiver resampler: what it may depend on, and its bill."""

import pytest
import torch
from tests.operator_count import operator_macs
from transformers import IdeficsConfig
from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

from chiasm.connectors import PerceiverResampler
from chiasm.stream import Features

WIDTH, HOST_WIDTH, GRID = 13, 19, (3, 5)
SIZES = {
    "features": dict(latents=7, depth=2, heads=3, head_width=5),
    "projected": dict(latents=3, depth=1, heads=2, head_width=7, ff_multiple=3, project=True),
    "deep": dict(latents=11, depth=3, heads=1, head_width=4, ff_multiple=2),
}


def features() -> Features:
    valid = torch.ones(2, *GRID, dtype=torch.bool)
    valid[1, 2:] = False
    return Features(torch.randn(2, GRID[0] * GRID[1], WIDTH), GRID, valid.flatten(1))


@pytest.mark.parametrize("sizes", SIZES)
def test_padding_cannot_change_the_output(sizes: str) -> None:
    resampler = PerceiverResampler(**SIZES[sizes]).build(WIDTH, HOST_WIDTH)
    given = features()
    assert given.valid is not None
    before = resampler.connect(given).embeddings
    changed = torch.where(given.valid.unsqueeze(-1), given.tokens, 1e3)
    after = resampler.connect(Features(changed, GRID, given.valid)).embeddings
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    alone = Features(given.tokens[1:, given.valid[1]], (2, 5))
    torch.testing.assert_close(
        resampler.connect(alone).embeddings, before[1:], atol=1e-5, rtol=1e-5
    )
    everything = resampler.connect(Features(changed, GRID)).embeddings
    assert not torch.allclose(everything[1], before[1], atol=1e-3)


@pytest.mark.parametrize("sizes", SIZES)
def test_features_are_a_set_and_latents_follow_their_order(sizes: str) -> None:
    resampler = PerceiverResampler(**SIZES[sizes]).build(WIDTH, HOST_WIDTH)
    given = features()
    before = resampler.connect(Features(given.tokens, GRID)).embeddings
    shuffled = given.tokens[:, torch.randperm(GRID[0] * GRID[1])]
    after = resampler.connect(Features(shuffled, GRID)).embeddings
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    order = torch.randperm(before.shape[1])
    with torch.no_grad():
        resampler.latents.copy_(resampler.latents[order])
    moved = resampler.connect(Features(given.tokens, GRID)).embeddings
    torch.testing.assert_close(moved, before[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid", [(3, 5), (1, 7)])
@pytest.mark.parametrize("sizes", SIZES)
def test_count_width_and_work_follow_from_geometry(sizes: str, grid: tuple[int, int]) -> None:
    answer = PerceiverResampler(**SIZES[sizes])
    resampler = answer.build(WIDTH, HOST_WIDTH)
    given = Features(torch.randn(1, grid[0] * grid[1], WIDTH), grid)
    tokens = resampler.connect(given).embeddings
    assert tokens.shape == (1, answer.count(grid), answer.width(WIDTH, HOST_WIDTH))
    counted = operator_macs(lambda: resampler.connect(given))
    assert sum(w.macs for w in answer.work(grid, WIDTH, HOST_WIDTH)) == pytest.approx(
        counted, rel=0.01
    )


def test_equals_the_resampler_of_idefics() -> None:
    """The same equation in transformers, whose feed-forward has a ReLU where Flamingo has none."""
    torch.manual_seed(0)
    config = IdeficsConfig(vision_config={"embed_dim": WIDTH, "num_attention_heads": 1})
    theirs = IdeficsPerceiverResampler(config, WIDTH, 2, 3, 5, 7)
    mine = PerceiverResampler(latents=7, depth=2, heads=3, head_width=5).build(WIDTH, HOST_WIDTH)
    state = {"latents": theirs.latents, "norm.weight": theirs.layer_norm.weight}
    state["norm.bias"] = theirs.layer_norm.bias
    for number, (read, think) in enumerate(theirs.blocks):
        torch.nn.init.normal_(read.latents_layer_norm.weight)
        torch.nn.init.normal_(read.context_layer_norm.bias)
        prefix = f"layers.{number}."
        for ours, name in (
            ("norm_features", "context_layer_norm"),
            ("norm_latents", "latents_layer_norm"),
        ):
            layer = read.get_submodule(name)
            state |= {f"{prefix}{ours}.weight": layer.weight, f"{prefix}{ours}.bias": layer.bias}
        state[f"{prefix}to_q.weight"] = read.q_proj.weight
        state[f"{prefix}to_kv.weight"] = torch.cat([read.k_proj.weight, read.v_proj.weight])
        state[f"{prefix}to_out.weight"] = read.output_proj.weight
        state[f"{prefix}ff.0.weight"], state[f"{prefix}ff.0.bias"] = think.ln.weight, think.ln.bias
        state[f"{prefix}ff.1.weight"] = think.fc.weight
        state[f"{prefix}ff.3.weight"] = think.c_proj.weight
    mine.load_state_dict(state)
    for layer in mine.layers:
        layer.ff[2] = torch.nn.ReLU()
    tokens = torch.randn(2, 15, WIDTH)
    torch.testing.assert_close(
        mine.connect(Features(tokens, GRID)).embeddings, theirs(tokens), atol=1e-5, rtol=1e-5
    )
