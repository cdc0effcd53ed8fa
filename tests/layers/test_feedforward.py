"""The gated feed-forward against transformers' Llama."""

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaMLP

from chiasm.layers import GatedMLP


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["silu", "gelu_pytorch_tanh"])
def test_equals_llama_in_values_and_gradients(activation: str, bias: bool) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=6,
        intermediate_size=13,
        num_attention_heads=3,
        hidden_act=activation,
        mlp_bias=bias,
    )
    theirs, mine = LlamaMLP(config), GatedMLP(6, 13, bias=bias, activation=activation)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 6, requires_grad=True)
    torch.testing.assert_close(mine(x), theirs(x), atol=1e-6, rtol=1e-5)
    weights = torch.randn(2, 5, 6)
    for module in (mine, theirs):
        (module(x) * weights).sum().backward()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(mine.get_parameter(name).grad, parameter.grad)


def test_another_width_comes_out() -> None:
    assert GatedMLP(7, 13, out=5)(torch.randn(2, 3, 7)).shape == (2, 3, 5)
