"""Mixed feed-forwards against transformers' own blocks, given equal weights."""

import random
from types import SimpleNamespace

import pytest
import torch
from tests.tiny import HOST
from transformers import AriaTextConfig, MixtralConfig
from transformers.models.aria.modeling_aria import AriaTextMoELayer
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

from chiasm.experts import Router, TopLogits, TopProbabilities, everyone
from chiasm.experts.mixed import MixedFeedForward
from chiasm.spec import Host
from chiasm.stream import ALL, TokenTable


def drawn(seed: int) -> dict[str, int]:
    dice = random.Random(seed)
    experts = dice.randint(2, 9)
    return dict(
        width=dice.randint(5, 40),
        hidden=dice.randint(3, 40),
        experts=experts,
        k=dice.randint(1, experts),
        shared=dice.randint(1, 3),
    )


def ours(sizes, selection, *, shared: int) -> MixedFeedForward:
    host = Host(
        **{
            **{f: getattr(HOST, f) for f in ("vocabulary", "depth", "heads", "kv_heads")},
            "head_width": 6,
            "width": sizes["width"],
            "ff_width": sizes["hidden"],
        }
    )
    router = Router(eligibility=everyone(sizes["experts"]), selection=selection, penalties=())
    return MixedFeedForward(
        host, (ALL,), router, hidden=sizes["hidden"], shared=shared, lora=None
    ).eval()


def random_weights(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


def compare(module, theirs, width: int) -> None:
    x = torch.randn(2, 7, width, generator=torch.Generator().manual_seed(5))
    table = TokenTable.text(torch.ones(2, 7, dtype=torch.bool))
    got = module(x, SimpleNamespace(table=table, losses=None))
    torch.testing.assert_close(got, theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("selection", [TopLogits, lambda k: TopProbabilities(k, renormalise=True)])
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_equals_mixtrals_block(seed, selection):
    sizes = drawn(seed)
    theirs = random_weights(
        MixtralSparseMoeBlock(
            MixtralConfig(
                hidden_size=sizes["width"],
                intermediate_size=sizes["hidden"],
                num_local_experts=sizes["experts"],
                num_experts_per_tok=sizes["k"],
            )
        ),
        seed,
    )
    module = ours(sizes, selection(sizes["k"]), shared=0)
    gate, up = theirs.experts.gate_up_proj.chunk(2, dim=1)
    module.gate_proj.weight.copy_(gate.transpose(1, 2))
    module.up_proj.weight.copy_(up.transpose(1, 2))
    module.down_proj.weight.copy_(theirs.experts.down_proj.transpose(1, 2))
    module.experts["router"].gate.weight.copy_(theirs.gate.weight)
    compare(module, theirs, sizes["width"])


@pytest.mark.parametrize("seed", range(4, 8))
@torch.no_grad()
def test_equals_arias_block(seed):
    sizes = drawn(seed)
    theirs = random_weights(
        AriaTextMoELayer(
            AriaTextConfig(
                hidden_size=sizes["width"],
                intermediate_size=sizes["hidden"],
                moe_num_experts=sizes["experts"],
                moe_topk=sizes["k"],
                moe_num_shared_experts=sizes["shared"],
                num_attention_heads=1,
                num_key_value_heads=1,
                head_dim=2,
            )
        ),
        seed,
    )
    module = ours(sizes, TopLogits(sizes["k"]), shared=sizes["shared"] * sizes["hidden"])
    gate, up = theirs.experts.gate_up_proj.chunk(2, dim=-1)
    module.gate_proj.weight.copy_(gate)
    module.up_proj.weight.copy_(up)
    module.down_proj.weight.copy_(theirs.experts.down_proj)
    module.experts["router"].gate.weight.copy_(theirs.router.weight)
    module.shared.load_state_dict(theirs.shared_experts.state_dict())
    compare(module, theirs, sizes["width"])
