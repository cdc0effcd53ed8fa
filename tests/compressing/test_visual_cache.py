"""Our own decoders over a cache with packed visual rows: equal to rows that were read back."""

import pytest
import torch
from tests.laws.test_cache import in_steps, prompts
from tests.tiny import batch, close, cut, every, ragged, real, shared_model, tiny
from torch import Tensor

from chiasm.backbone import Borrowed, GrowingCache
from chiasm.backbone.cache import Key, KeyValue
from chiasm.compressing.visual_cache import VISUAL, VisualCache
from chiasm.compression.endpoints import Scaled
from chiasm.compression.quantised import Codec, quantise
from chiasm.compression.visual_kv import VisualKV
from chiasm.stream import TokenTable


def how(bits: int, *, calibration: float = 0.0, group: int | None = None) -> VisualKV:
    keys = Codec(bits=bits, endpoints=Scaled(0.5), group=group)
    return VisualKV(keys=keys, values=Codec(bits=bits, group=group), calibration=calibration)


class ReadBack(GrowingCache):
    """Holds visual rows as the values that their codes stand for: the slow reference."""

    def __init__(self, made: VisualKV) -> None:
        super().__init__()
        self.made = made

    def _another(self, name: object) -> "ReadBack":
        return ReadBack(self.made)

    def append(self, layer: Key, keys: Tensor, values: Tensor, table: TokenTable) -> KeyValue:
        before = self._layers.get(layer)
        read = super().append(layer, keys, values, table)
        visual = VISUAL.select(table) & table.valid
        if bool(visual.any()):
            chosen = visual[:, None, :, None]
            kept = (
                torch.where(chosen, quantise(rows, visual, codec).values(), rows)
                for rows, codec in ((keys, self.made.keys), (values, self.made.values))
            )
            self._layers[layer] = KeyValue(*kept) if before is None else before.extended(*kept)
        return read


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("slug", every())
def test_packed_equals_read_back_and_prefill_is_exact(slug, side):
    """A prefill, then three steps; padded batches of no, one and two pictures."""
    model, inputs = shared_model(slug), prompts(slug, side)
    rows = inputs.ids.shape[1]
    ends = [rows - 3, rows - 2, rows - 1, rows]
    cache = VisualCache(how(2))
    got = in_steps(model, inputs, cache, ends)
    want = in_steps(model, inputs, ReadBack(how(2)), ends)
    plain = in_steps(model, inputs, GrowingCache(), ends)
    close(got[real(inputs)], want[real(inputs)], 1e-5)
    first = real(cut(inputs, slice(0, rows - 3), media=False))
    assert torch.equal(got[:, : rows - 3][first], plain[:, : rows - 3][first])


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
def test_a_second_picture_in_a_later_turn():
    """Pieces whose ends fall behind each picture: both are packed, each in its own call."""
    model, inputs = shared_model("llava-1.5"), batch(tiny("llava-1.5"), ragged()[2:])
    media = (inputs.table.modality[0] > 0).nonzero().flatten()
    gap = int(media[(media.diff(prepend=media[:1]) > 1).nonzero().flatten()[0]])
    rows = inputs.ids.shape[1]
    ends = [gap - 1, rows - 2, rows - 1, rows]
    cache = VisualCache(how(2))
    got = in_steps(model, inputs, cache, ends)
    close(got, in_steps(model, inputs, ReadBack(how(2)), ends), 1e-5)
    held = cache.held(0)
    assert held is not None
    assert [block.column.shape[1] for block in held.packed] == [len(media) // 2] * 2
    assert not torch.allclose(got[:, -1], model(inputs)[:, -1], atol=1e-3)


def test_calls_beside_a_lent_cache_read_its_codes():
    model, inputs = shared_model("llava-1.5"), batch(tiny("llava-1.5"), ragged()[:1])
    rows = inputs.ids.shape[1]
    lender = VisualCache(how(1, calibration=3.0))
    in_steps(model, inputs, lender, [rows - 2])
    last = cut(inputs, slice(rows - 2, rows), media=False)
    beside = model(last, cache=Borrowed(lender))
    close(beside, model(last, cache=lender), 1e-6)


def test_bytes_fall_with_bits():
    model, inputs = shared_model("llava-1.5"), batch(tiny("llava-1.5"), ragged()[:1])
    plain, sizes = GrowingCache(), {}
    model(inputs, cache=plain)
    for bits in (8, 4, 2, 1):
        cache = VisualCache(how(bits))
        model(inputs, cache=cache)
        sizes[bits] = cache.bytes
        held = [cache.held(layer) for layer in range(model.decoder.stack.depth)]
        assert cache.bytes == sum(one.bytes for one in held if one is not None)
    assert plain.bytes > sizes[8] > sizes[4] > sizes[2] > sizes[1]
