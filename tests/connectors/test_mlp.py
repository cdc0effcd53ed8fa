"""One token in, one token out: linear map, MLP, and one projector a layer."""

import pytest
import torch
from tests.operator_count import operator_macs
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from chiasm.connectors import MLP, FusedMLP, Linear, PerLayer
from chiasm.stream import Features

WIDTH, HOST_WIDTH, GRID = 13, 19, (3, 5)
ANSWERS = [
    Linear(),
    Linear(bias=False),
    MLP(),
    MLP(activation="silu", bias=False),
    FusedMLP(expansion=3),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_every_token_is_mapped_alone(answer: Linear | MLP) -> None:
    connector = answer.build(WIDTH, HOST_WIDTH)
    tokens = torch.randn(2, 15, WIDTH)
    valid = torch.rand(2, 15) < 0.5
    out = connector.connect(Features(tokens, GRID, valid))
    assert out.embeddings.shape == (2, answer.count(GRID), answer.width(WIDTH, HOST_WIDTH))
    assert out.valid is valid
    alone = connector.connect(Features(tokens[1:, 4:5], (1, 1))).embeddings
    torch.testing.assert_close(alone[0, 0], out.embeddings[1, 4])


@pytest.mark.parametrize("answer", [*ANSWERS, PerLayer(MLP())], ids=str)
def test_work_equals_the_operator_count(answer: Linear | MLP | PerLayer) -> None:
    connector = answer.build(WIDTH, HOST_WIDTH)
    given = Features(torch.randn(1, 15, WIDTH), GRID)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(w.macs for w in answer.work(GRID, WIDTH, HOST_WIDTH)) == counted


def test_mlp_equals_the_projector_of_llava() -> None:
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(hidden_size=WIDTH, num_attention_heads=1),
        text_config=LlamaConfig(hidden_size=20, num_attention_heads=2),
    )
    theirs, mine = LlavaMultiModalProjector(config), MLP().build(WIDTH, 20)
    mine.load_state_dict(
        {
            f"{place}.{kind}": theirs.get_parameter(f"{name}.{kind}")
            for place, name in ((0, "linear_1"), (2, "linear_2"))
            for kind in ("weight", "bias")
        }
    )
    tokens = torch.randn(2, 15, WIDTH)
    torch.testing.assert_close(mine.connect(Features(tokens, GRID)).embeddings, theirs(tokens))


@pytest.mark.parametrize(("host_width", "parameters"), [(4096, 20_979_712), (5120, 31_467_520)])
def test_mlp_between_clip_large_and_vicuna(host_width: int, parameters: int) -> None:
    """Vicuna 7B and 13B."""
    with torch.device("meta"):
        connector = MLP().build(1024, host_width)
    assert sum(p.numel() for p in connector.parameters()) == parameters


def test_a_projector_a_layer_leaves_features_in_the_encoders_space() -> None:
    answer = PerLayer(MLP())
    assert answer.layerwise and answer.width(WIDTH, HOST_WIDTH) == WIDTH
    assert answer.build(WIDTH, HOST_WIDTH)(torch.randn(2, 15, WIDTH)).shape == (2, 15, HOST_WIDTH)
