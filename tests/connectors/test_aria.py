"""Aria's projector against transformers' own module."""

from types import SimpleNamespace

import pytest
import torch
from tests.operator_count import operator_macs
from transformers.models.aria.modeling_aria import AriaProjector

from chiasm.connectors import AriaConnector
from chiasm.errors import Misuse
from chiasm.stream import Features

CASES = [
    (dict(queries=((6, 3), (20, 7)), heads=2, ff_width=13), 10, 11, (2, 3)),
    (dict(queries=((6, 3), (20, 7)), heads=5, ff_width=9), 15, 8, (3, 5)),
    (dict(queries=((35, 4),), heads=1, ff_width=5), 6, 17, (5, 7)),
]


def pair(config, width, out, seed=0):
    torch.manual_seed(seed)
    ours = AriaConnector(**config).build(width, out)
    vision = SimpleNamespace(hidden_size=width, num_attention_heads=config["heads"])
    text = SimpleNamespace(hidden_size=config["ff_width"])
    theirs = AriaProjector(
        SimpleNamespace(
            projector_patch_to_query_dict=dict(config["queries"]),
            max_value_projector_patch_to_query_dict=max(q for _, q in config["queries"]),
            vision_config=vision,
            text_config=text,
        )
    )
    state = {k: torch.randn_like(v) * 0.3 for k, v in theirs.state_dict().items()}
    if out != config["ff_width"]:
        state["feed_forward.linear_out.weight"] = torch.randn(out, config["ff_width"]) * 0.3
        theirs.feed_forward.linear_out = torch.nn.Linear(config["ff_width"], out, bias=False)
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize(("config", "width", "out", "grid"), CASES)
def test_equals_transformers(config, width, out, grid):
    ours, theirs = pair(config, width, out)
    patches = grid[0] * grid[1]
    x = torch.randn(3, patches, width)
    got = ours.connect(Features(x, grid)).embeddings
    if patches in dict(config["queries"]):
        torch.testing.assert_close(got, theirs(x), rtol=1e-4, atol=1e-5)
    assert got.shape == (3, AriaConnector(**config).count(grid), out)


def test_padded_patches_are_not_read():
    ours, theirs = pair(*CASES[0][:3])
    valid = torch.tensor([[1] * 6, [1, 1, 0, 1, 1, 0]]).bool()
    x = torch.randn(2, 6, 10)
    got = ours.connect(Features(x, (2, 3), valid)).embeddings
    torch.testing.assert_close(got, theirs(x, ~valid), rtol=1e-4, atol=1e-5)


def test_larger_images_are_refused():
    with pytest.raises(Misuse, match="21 patches are more than the 20"):
        AriaConnector(**CASES[0][0]).count((3, 7))


def test_its_bill_agrees_with_the_operator_counter():
    config, width, out, grid = CASES[1]
    ours, _ = pair(config, width, out)
    given = Features(torch.randn(1, 15, width), grid)
    counted = sum(line.macs for line in AriaConnector(**config).work(grid, width, out))
    assert counted == operator_macs(lambda: ours.connect(given))


def test_every_image_of_a_batch_takes_its_own_queries():
    """Five of twenty cells are the first image's: it takes three queries, the other all seven."""
    ours, _ = pair(*CASES[0][:3])
    valid = torch.zeros(2, 20, dtype=torch.bool)
    valid[0, :5], valid[1] = True, True
    x = torch.randn(2, 20, 10)
    got = ours.connect(Features(x, (4, 5), valid))
    assert got.valid.sum(1).tolist() == [3, 7]
    alone = ours.connect(Features(x[:1, :5], (1, 5))).embeddings
    torch.testing.assert_close(got.embeddings[:1, :3], alone)
