"""Ratios of heads, beside the attention that the model itself gives out."""

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_dropping import logits

from chiasm.compressing import fewer_operations, head_ratios
from chiasm.compression.heads import active_heads, in_groups
from chiasm.compression.operations import VisualOperations
from chiasm.errors import Misuse

pytestmark = pytest.mark.evidence(slug="yopo", grade="lawful")


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl", "internvl"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_ratios_are_those_of_the_models_own_attention(kind: str, side: str) -> None:
    model, batch = tiny.host(kind, 1, "eager"), tiny.batch(kind, 2, side)
    with torch.no_grad():
        attention = model(**batch.told, output_attentions=True).attentions
    ids, mask = batch.told["input_ids"], batch.told["attention_mask"].bool()
    found = head_ratios(model, batch.told)
    assert found.shape == (len(ids), len(attention), attention[0].shape[1])
    for sample, row in enumerate(batch.last):
        visual = (ids[sample] == tiny.IMAGE) & mask[sample]
        for layer, weights in enumerate(attention):
            own = weights[sample, :, row]
            expected = own[:, visual].sum(-1) / own[:, ~visual & mask[sample]].sum(-1)
            torch.testing.assert_close(found[sample, layer], expected, rtol=1e-4, atol=1e-5)


def test_heads_are_chosen_from_a_host_and_put_to_use() -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    plain = logits(model, batch)
    ratios = head_ratios(model, batch.told)
    assert torch.equal(logits(model, batch), plain)
    config = model.model.language_model.config  # type: ignore[union-attr]
    mask = active_heads(ratios, float(ratios.median()), whole=1)
    done = VisualOperations(heads=in_groups(mask, config.num_key_value_heads))
    with fewer_operations(model, done):
        assert torch.isfinite(logits(model, batch)).all()
    every = active_heads(ratios, -1.0)
    assert all(all(layer) for layer in every)


def test_a_batch_without_pictures_is_refused() -> None:
    model = tiny.host("llava", 1)
    with pytest.raises(Misuse, match="no visual tokens"):
        head_ratios(model, {"input_ids": torch.randint(9, tiny.VOCABULARY, (2, 7))})
