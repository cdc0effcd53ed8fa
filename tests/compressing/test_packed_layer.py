"""1-bit visual KV in transformers' models: packed equals read back, alone and with reducers."""

from typing import Any

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_context import hooks
from tests.compressing.test_dropping import attach, decode, fresh, logits
from torch import Tensor, nn

import chiasm
from chiasm.compressing import packed_reading
from chiasm.compressing.hosts import host_of
from chiasm.compressing.packed_layer import PackedLayer, cache_bytes
from chiasm.compression import visual_kv
from chiasm.compression.packed_attention import attend_packed_slowly
from chiasm.errors import Misuse

lawful = pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")


def layers_of(model: nn.Module) -> Any:
    return host_of(model).decoder.layers


class ReadBack:
    """Reads rows back and calls the equation, in place of the fused read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.patch = monkeypatch

    def __enter__(self) -> "ReadBack":
        def slowly(*args: Any, **told: Any) -> Tensor:
            self.calls += 1
            return attend_packed_slowly(*args, **told)

        self.patch.setattr(visual_kv, "attend_packed", slowly)
        return self

    def __exit__(self, *error: object) -> None:
        self.patch.undo()


@lawful
@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_packed_equals_read_back(kind: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefill is the plain model's to the bit; ten steps of one word and three of two are those of
    rows that are read back first.
    """
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2, side)
    plain, exact = logits(model, batch), decode(model, batch, 10)
    for bits in (1, 4):
        with chiasm.compress(model, "visual-kv-quant", bits=bits):
            assert torch.equal(logits(model, batch), plain)
            got, two = decode(model, batch, 10), decode(model, batch, 3, words=2)
            with ReadBack(monkeypatch) as slow:
                want, both = decode(model, batch, 10), decode(model, batch, 3, words=2)
            assert slow.calls == 13 * len(layers_of(model))
        torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
        torch.testing.assert_close(two, both, rtol=0, atol=1e-5)
        assert float((got - exact).abs().max()) > 1e-4, "something is quantised"


@lawful
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_eight_bits_are_nearly_exact_and_one_is_not(kind: str) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    exact, off = decode(model, batch, 5), {}
    for bits in (8, 4, 2, 1):
        with chiasm.compress(model, "visual-kv-quant", bits=bits, calibration=0.0):
            off[bits] = float((decode(model, batch, 5) - exact).abs().max())
    assert off[8] < off[4] < off[2]
    assert off[8] < 0.05 * float(exact.std())


@lawful
@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "smolvlm"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_implementations_agree(kind: str, attention: str) -> None:
    model, batch = tiny.host(kind, 1, attention), tiny.batch(kind, 2)
    reference = tiny.host(kind, 1, "sdpa")
    found = []
    for one in (model, reference):
        with chiasm.compress(one, "visual-kv-quant", bits=2):
            found.append(decode(one, batch, 4))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def prefilled(model: Any, batch: tiny.Batch) -> Any:
    with torch.no_grad():
        fresh(model)
        return model(**batch.told, use_cache=True).past_key_values


@lawful
@pytest.mark.parametrize("kind", ["llava", "qwen2_vl", "internvl"])
def test_only_visual_rows_are_packed_and_text_is_bit_identical(kind: str) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    plain = prefilled(model, batch)
    with chiasm.compress(model, "visual-kv-quant", bits=1):
        cache = prefilled(model, batch)
    ids, mask = batch.told["input_ids"], batch.told["attention_mask"].bool()
    text = (ids != tiny.IMAGE) & mask
    for layer, exact in zip(cache.layers, plain.layers, strict=True):
        assert isinstance(layer, PackedLayer)
        rows = layer.rows
        assert rows is not None
        for held, full in ((rows.keys, exact.keys), (rows.values, exact.values)):
            same = (held == full).all(-1).all(1)
            assert bool(same[text].all())
            assert not bool(same[ids == tiny.IMAGE].any())
        codes = rows.packed[0].keys
        count = int((ids == tiny.IMAGE).sum(1).max())
        assert codes.codes.shape[2] == -(-count // 8)
        for sample in range(ids.shape[0]):
            own = rows.keys[sample][:, ids[sample] == tiny.IMAGE]
            assert all(
                len(own[head, :, channel].unique()) <= 2
                for head in range(own.shape[0])
                for channel in range(own.shape[2])
            )
    assert cache_bytes(plain) == sum(2 * t.keys.numel() * 4 for t in plain.layers)
    assert cache_bytes(cache) == sum(layer.rows.bytes for layer in cache.layers)


@lawful
@pytest.mark.parametrize("kind", ["llava", "llava_next", "qwen2_5_vl", "qwen3_vl", "internvl"])
def test_a_second_picture_in_a_later_turn(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read at full precision in its own call, packed behind it, apart from the first."""
    model, first, second = (
        tiny.host(kind, 1),
        tiny.batch(kind, 2, pictures=(1, 1)),
        tiny.batch(kind, 5, pictures=(1, 1)),
    )

    def turns() -> tuple[Tensor, Any]:
        with torch.no_grad():
            fresh(model)
            cache = model(**first.told, use_cache=True).past_key_values
            mask = torch.cat([first.told["attention_mask"], second.told["attention_mask"]], 1)
            told = {**second.told, "attention_mask": mask, "past_key_values": cache}
            past = first.told["input_ids"].shape[1]
            if kind.startswith("qwen"):
                places = (mask.cumsum(1) - 1).clamp(min=0)[:, past:]
                told["position_ids"] = places.expand(3, -1, -1)
            out = model(**told, use_cache=True)
            found = [out.logits[:, -1]]
            for _ in range(3):
                mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
                step: dict[str, Any] = {
                    "input_ids": torch.full((2, 1), 11),
                    "attention_mask": mask,
                    "past_key_values": cache,
                }
                if kind.startswith("qwen"):
                    step["position_ids"] = (mask.cumsum(1) - 1)[:, -1:].expand(3, -1, -1)
                found.append(model(**step, use_cache=True).logits[:, -1])
            return torch.stack(found), cache

    exact, _ = turns()
    with chiasm.compress(model, "visual-kv-quant", bits=2):
        got, cache = turns()
        with ReadBack(monkeypatch):
            want, _ = turns()
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert float((got - exact).abs().max()) > 1e-4
    assert [len(layer.rows.packed) for layer in cache.layers] == [2] * len(cache.layers)


@lawful
@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "qwen3_vl", "smolvlm"])
def test_beams(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    told = dict(max_new_tokens=6, num_beams=3, do_sample=False, pad_token_id=0)
    with chiasm.compress(model, "visual-kv-quant", bits=2):
        fresh(model)
        got = model.generate(**batch.told, **told)  # type: ignore[operator]
        with ReadBack(monkeypatch):
            fresh(model)
            want = model.generate(**batch.told, **told)  # type: ignore[operator]
    assert torch.equal(got, want)


@lawful
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_no_trace_is_left(kind: str) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    layers = layers_of(model)
    configs = [layer.self_attn.config for layer in layers]
    plain, ids = decode(model, batch, 3), tiny.generate(model, batch.told, 3)[0]
    with pytest.raises(RuntimeError, match="mine"), chiasm.compress(model, "visual-kv-quant"):
        assert hooks(model)
        tiny.generate(model, batch.told, 3)
        raise RuntimeError("mine")
    assert not hooks(model)
    assert all(layer.self_attn.config is one for layer, one in zip(layers, configs, strict=True))
    assert torch.equal(decode(model, batch, 3), plain)
    fresh(model)
    assert torch.equal(tiny.generate(model, batch.told, 3)[0], ids)


@lawful
@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("name", ["random", "fastv", "vscan"])
def test_a_reducer_and_packing_together(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefill is the reducer's own to the bit; steps are those of rows that are read back."""
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    with attach(model, name, 0.5) as alone:
        plain, exact = logits(model, batch), decode(model, batch, 4)
    for keep in (0.5, 0.6, 0.8, 0.9):
        try:
            context = chiasm.compress(model, [f"{name}:keep={keep}", "visual-kv-quant:bits=2"])
            break
        except Misuse:
            continue
    with context:
        assert torch.equal(logits(model, batch), plain)
        assert context.kept == alone.kept
        got = decode(model, batch, 4)
        with ReadBack(monkeypatch):
            want = decode(model, batch, 4)
        fresh(model)
        assert tiny.generate(model, batch.told, 3)[1].isfinite().all()
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert float((got - exact).abs().max()) > 1e-4
    assert not hooks(model)


def test_a_packed_cache_is_refused_outside_its_context() -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    with chiasm.compress(model, "visual-kv-quant"):
        cache = prefilled(model, batch)
    with pytest.raises(Misuse, match="go on within a context"):
        model(input_ids=torch.full((2, 1), 9), past_key_values=cache)
    with pytest.raises(Misuse, match="cannot be cropped"):
        cache.crop(-1)


def test_the_stand_in_is_loud_where_nobody_reads_it() -> None:
    """Attention that was not put in by the context finds nothing but NaN."""
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    with chiasm.compress(model, "visual-kv-quant"):
        cache = prefilled(model, batch)
    layer = cache.layers[0]
    layer.awaiting(torch.zeros(2, 1, dtype=torch.bool))
    one = torch.zeros(2, layer.rows.keys.shape[1], 1, 8)
    keys, values = layer.update(one, one)
    assert keys.shape[2] == layer.rows.total
    assert bool(keys.isnan().all()) and bool(values.isnan().all())
    assert keys.untyped_storage().nbytes() == 4
    assert packed_reading.PREFIX + "sdpa" in packed_reading.ALL_ATTENTION_FUNCTIONS
