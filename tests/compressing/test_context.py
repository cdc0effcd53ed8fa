"""The context leaves no trace, refuses what it cannot do, and looks where it says."""

from typing import Any

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_dropping import attach, fresh, logits
from torch import nn

import chiasm
from chiasm.compressing.hosts import host_of
from chiasm.compressing.looking import Looking, told_of
from chiasm.compression.evidence import Asks, BlockKeys, DecoderAttention
from chiasm.compression.method import methods
from chiasm.errors import Misuse


def hooks(model: nn.Module) -> int:
    """Hooks of ours on any module, and methods of the class hidden by the instance's. transformers
    leaves hooks of its own where hidden states have been asked for.
    """
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    found = sum(
        hook.__module__.startswith("chiasm")
        for part in model.modules()
        for kind in kinds
        for hook in getattr(part, kind).values()
    )
    return found + sum(name.startswith("get_") for name in vars(model.model))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("llava", name) for name in sorted(methods())] + [(kind, "vscan") for kind in tiny.KINDS[1:]],
)
def test_no_trace_is_left(kind: str, name: str) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    plain, ids = logits(model, batch), tiny.generate(model, batch.told, 3)[0]
    with attach(model, name, 0.5):
        assert hooks(model)
        tiny.generate(model, batch.told, 3)
    assert not hooks(model)
    fresh(model)
    assert torch.equal(logits(model, batch), plain)
    assert torch.equal(tiny.generate(model, batch.told, 3)[0], ids)


@pytest.mark.parametrize("kind", ["llava", "qwen3_vl"])
def test_no_trace_is_left_by_a_failure(kind: str) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    plain = logits(model, batch)

    def fail(*_: Any) -> None:
        raise RuntimeError("broken layer")

    layers: Any = host_of(model).decoder.layers
    with pytest.raises(RuntimeError, match="broken layer"), attach(model, "fastv", 0.5):
        handle = layers[2].register_forward_pre_hook(fail)
        try:
            logits(model, batch)
        finally:
            handle.remove()
    assert not hooks(model)
    assert torch.equal(logits(model, batch), plain)
    context = attach(model, "random", 0.5)
    with pytest.raises(RuntimeError, match="mine"), context:
        raise RuntimeError("mine")
    assert not hooks(model)
    with context:
        cut = logits(model, batch)
    assert not torch.equal(cut, plain)


def test_refusals() -> None:
    model = tiny.host("llava", 1)
    with pytest.raises(Misuse, match=r"keep=0 is not in \(0, 1\]"):
        chiasm.compress(model, "random", keep=0)
    with pytest.raises(Misuse, match=r"keep=1.5 is not in \(0, 1\]"):
        chiasm.compress(model, "random", keep=1.5)
    with pytest.raises(Misuse, match="keep=nan is not in"):
        chiasm.compress(model, "random", keep=float("nan"))
    with pytest.raises(Misuse, match="did you mean uniform"):
        chiasm.compress(model, "unform", keep=0.5)
    with pytest.raises(Misuse, match="colour"):
        chiasm.compress(model, "random", keep=0.5, colour=3)
    with pytest.raises(Misuse, match="supported are chiasm's own models and idefics3, internvl"):
        chiasm.compress(nn.Linear(2, 2), "random", keep=0.5)
    with pytest.raises(Misuse, match="cannot serve another question"):
        chiasm.compress(model, "fastv", keep=0.7, prefix_caching=True)
    chiasm.compress(model, "random", keep=0.7, prefix_caching=True)
    with pytest.raises(Misuse, match=r"keeps every token up to layer 2 of \d, a mean of 0\.[45]"):
        chiasm.compress(model, "fastv", keep=0.3)
    assert not hooks(model)


def test_a_prompt_that_ends_with_its_picture_is_refused_before_it_is_encoded() -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2, pictures=(1,))
    end = int((batch.told["input_ids"][0] == tiny.IMAGE).nonzero()[-1]) + 1
    told = {**batch.told, **{n: batch.told[n][:, :end] for n in ("input_ids", "attention_mask")}}
    ran: list[int] = []
    handle = model.model.vision_tower.register_forward_pre_hook(lambda *_: ran.append(1))  # type: ignore[union-attr]
    with attach(model, "fastv", 0.7), pytest.raises(Misuse, match="sample 0 ends with its pict"):
        model(**told)
    handle.remove()
    assert not ran
    with attach(model, "random", 0.7):
        model(**told)


def test_embeddings_without_ids_are_refused() -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    ids = batch.told.pop("input_ids")
    embedded = model.get_input_embeddings()(ids)  # type: ignore[operator]
    with attach(model, "random", 0.7), pytest.raises(Misuse, match="give input_ids"):
        model(**batch.told, inputs_embeds=embedded)


class _Rows:
    """Attention as it is, to compare: all of it, patches only."""

    rows_of_all = True

    def __init__(self, block: int) -> None:
        self.block = block
        self.seen: list[torch.Tensor] = []

    def per_patch(self, attention: torch.Tensor, class_tokens: int) -> torch.Tensor:
        self.seen.append(attention)
        return attention.mean((0, 1))[class_tokens:]


@pytest.mark.parametrize("kind", ["llava", "llava_onevision", "internvl", "smolvlm"])
def test_encoder_looks_are_the_encoders_own_attention(kind: str) -> None:
    model, batch = tiny.host(kind, 3, "eager"), tiny.batch(kind, 4)
    of = host_of(model)
    look, keys = _Rows(1), BlockKeys(block=1)
    looking = Looking(of, [look, keys])  # type: ignore[list-item]
    weights: list[torch.Tensor] = []
    block = of.tower.blocks[1]
    after = block.register_forward_hook(lambda m, a, out: weights.append(out[1]))

    def watch(module: nn.Module, args: Any, told: dict[str, Any]) -> None:
        looking.watch(module, [look, keys], told_of(args, told))  # type: ignore[list-item]

    before = block.register_forward_pre_hook(watch, with_kwargs=True)
    logits(model, batch)
    after.remove()
    before.remove()
    torch.testing.assert_close(torch.stack(look.seen), weights[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("asks", list(Asks))
def test_decoder_looks_are_the_decoders_own_attention(kind: str, asks: Asks) -> None:
    """Where nothing has gone yet, and for a padded batch."""
    from chiasm.compressing.decoder_attention import HostAttention
    from chiasm.compressing.rows import everything
    from chiasm.compressing.sample import Sample
    from chiasm.compressing.showing import Shown

    model, batch = tiny.host(kind, 3, "eager"), tiny.batch(kind, 4)
    of: Any = host_of(model)
    given: dict[str, Any] = {}
    weights: list[torch.Tensor] = []
    layer = of.decoder.layers[1]

    def take(module: nn.Module, args: Any, told: dict[str, Any]) -> None:
        given.update(told_of(args, told))

    before = layer.register_forward_pre_hook(take, with_kwargs=True)
    after = layer.self_attn.register_forward_hook(lambda m, a, out: weights.append(out[1]))
    logits(model, batch)
    before.remove()
    after.remove()
    tables = given["position_embeddings"]
    ids, mask = batch.told["input_ids"], batch.told["attention_mask"]
    rows = everything(ids.shape[0], 0, ids.shape[1], mask, ids.device)
    attends = HostAttention(layer, given["hidden_states"], rows, tables, None)
    shown = Shown(given["hidden_states"], rows, 0, attends)
    look = DecoderAttention(asks=asks)
    for number in range(ids.shape[0]):
        visual = (ids[number] == tiny.IMAGE).nonzero().squeeze(1)
        none = torch.zeros_like(visual)
        sample = Sample(visual, none, none, none[:, None].expand(-1, 2), {})
        found = shown.of(number, sample, [look]).looks[look]
        own = mask[number].nonzero().squeeze(1)
        first = {Asks.LAST: own[-1:], Asks.ALL: own, Asks.QUESTION: own[own > visual[-1]]}[asks]
        wanted = weights[0][number][:, first][:, :, own]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_tokens_know_their_places(kind: str) -> None:
    """Carrying the patches' places through the host gives every token of a unit one of its own."""
    model, batch = tiny.host(kind, 3), tiny.batch(kind, 4)
    seen: list[Any] = []

    class Spy:
        needs = ()

        def score(self, evidence: Any) -> torch.Tensor:
            seen.append(evidence)
            return evidence.hidden.new_zeros(evidence.tokens)

    from chiasm.compressing.context import Compressed
    from chiasm.compressing.hosted import HostReducing
    from chiasm.compression.budgets import Share
    from chiasm.compression.fates import Drop
    from chiasm.compression.reducer import Reducer, Scope, Site

    spy = Reducer(site=Site(), scope=Scope.ITEM, scorer=Spy(), budget=Share(0.5), fate=Drop())
    with Compressed(HostReducing(host_of(model), [spy], (), masked=False)):
        logits(model, batch)
    assert len(seen) == 3
    for evidence in seen:
        placed = evidence.unit >= 0
        keys = torch.cat([evidence.unit[:, None], evidence.place], 1)[placed]
        assert keys.unique(dim=0).shape[0] == keys.shape[0]
        raster = keys[:, 0] * 10**6 + keys[:, 1] * 10**3 + keys[:, 2]
        first = raster[evidence.unit[placed] == 0]
        assert torch.equal(first, first.sort().values)
        assert placed.float().mean() > 0.8
