"""Idefics2's connector against transformers' own, and what padding may not do."""

import pytest
import torch
from tests.operator_count import operator_macs
from transformers import Idefics2Config
from transformers.models.idefics2.modeling_idefics2 import Idefics2Connector as Reference

from chiasm.connectors import Idefics2Connector
from chiasm.stream import Features

WIDTH, HOST_WIDTH, GRID = 13, 20, (3, 5)
SIZES = {
    "small": dict(ff_width=17, latents=7, depth=2, heads=6, kv_heads=2, head_width=11),
    "one key head": dict(ff_width=29, latents=3, depth=3, heads=3, kv_heads=1, head_width=4),
    "no sharing": dict(ff_width=11, latents=5, depth=1, heads=2, kv_heads=2, head_width=6),
}


def reference(answer: Idefics2Connector) -> Reference:
    config = Idefics2Config(
        vision_config={"hidden_size": WIDTH, "num_attention_heads": 1},
        perceiver_config={
            "hidden_size": HOST_WIDTH,
            "resampler_n_latents": answer.latents,
            "resampler_depth": answer.depth,
            "resampler_n_heads": answer.heads,
            "resampler_head_dim": answer.head_width,
            "num_key_value_heads": answer.kv_heads,
        },
        text_config={
            "model_type": "mistral",
            "hidden_size": HOST_WIDTH,
            "intermediate_size": answer.ff_width,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
        },
    )
    return Reference(config).eval()


def features(images: int = 2) -> Features:
    valid = torch.ones(images, *GRID, dtype=torch.bool)
    valid[1, :, 3:] = False
    return Features(torch.randn(images, GRID[0] * GRID[1], WIDTH), GRID, valid.flatten(1))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_equals_transformers_under_the_same_names(sizes: str, padded: bool) -> None:
    torch.manual_seed(len(sizes))
    answer = Idefics2Connector(**SIZES[sizes])
    mine, theirs = answer.build(WIDTH, HOST_WIDTH), reference(answer)
    torch.nn.init.normal_(theirs.perceiver_resampler.latents)
    for name, parameter in theirs.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.3)
    mine.load_state_dict(theirs.state_dict())
    given = features()
    if not padded:
        given = Features(given.tokens, GRID)
    mask = torch.ones(given.tokens.shape[:2], dtype=torch.bool)
    expected = theirs(given.tokens, mask if given.valid is None else given.valid)
    got = mine.connect(given).embeddings
    assert got.shape == (2, answer.latents, HOST_WIDTH)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(got)
    (got * weights).sum().backward()
    (expected * weights).sum().backward()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(
            mine.get_parameter(name).grad, parameter.grad, atol=1e-4, rtol=1e-4
        )


def test_padding_cannot_change_the_output() -> None:
    connector = Idefics2Connector(**SIZES["small"]).build(WIDTH, HOST_WIDTH)
    given = features()
    assert given.valid is not None
    changed = torch.where(given.valid.unsqueeze(-1), given.tokens, 1e3)
    before = connector.connect(given).embeddings
    after = connector.connect(Features(changed, GRID, given.valid)).embeddings
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    alone = Features(given.tokens[1:, given.valid[1]], (3, 3))
    torch.testing.assert_close(
        connector.connect(alone).embeddings, before[1:], atol=1e-5, rtol=1e-5
    )
    everything = connector.connect(Features(changed, GRID)).embeddings
    assert not torch.allclose(everything[1], before[1], atol=1e-2)


def test_latents_read_a_set() -> None:
    """The order of the features carries nothing: their places are in their values."""
    connector = Idefics2Connector(**SIZES["small"]).build(WIDTH, HOST_WIDTH)
    given = features()
    order = torch.randperm(GRID[0] * GRID[1])
    assert given.valid is not None
    shuffled = Features(given.tokens[:, order], GRID, given.valid[:, order])
    torch.testing.assert_close(
        connector.connect(shuffled).embeddings,
        connector.connect(given).embeddings,
        atol=1e-5,
        rtol=1e-5,
    )


def test_fresh_latents_differ() -> None:
    latents = Idefics2Connector(**SIZES["small"]).build(WIDTH, HOST_WIDTH)
    tokens = latents.connect(features()).embeddings[0]
    assert torch.pdist(tokens).min() > 1e-2


@pytest.mark.parametrize("grid", [(3, 5), (1, 7)])
@pytest.mark.parametrize("sizes", SIZES)
def test_count_and_work_follow_from_geometry(sizes: str, grid: tuple[int, int]) -> None:
    answer = Idefics2Connector(**SIZES[sizes])
    connector = answer.build(WIDTH, HOST_WIDTH)
    given = Features(torch.randn(1, grid[0] * grid[1], WIDTH), grid)
    assert connector.connect(given).embeddings.shape[1] == answer.count(grid)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(w.macs for w in answer.work(grid, WIDTH, HOST_WIDTH)) == pytest.approx(
        counted, rel=0.01
    )


def test_heads_must_share_evenly() -> None:
    with pytest.raises(ValueError, match="5 query heads cannot share 2"):
        Idefics2Connector(ff_width=7, heads=5, kv_heads=2)


def test_published_size() -> None:
    """Idefics2-8B: 1152-wide features, a Mistral of width 4096 and feed-forward 14336."""
    with torch.device("meta"):
        connector = Idefics2Connector(ff_width=14_336).build(1152, 4096)
    projection = 2 * 1152 * 14_336 + 14_336 * 4096
    layer = 4096 * 96 * (2 * 16 + 2 * 4) + 3 * 4 * 4096**2 + 3 * 4096
    assert sum(p.numel() for p in connector.parameters()) == (
        projection + 3 * layer + 64 * 4096 + 4096
    )
