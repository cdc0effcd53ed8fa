"""The card of 085 llava-1.5. Equality with transformers' class is in `tests/hub`."""

import pytest
import torch
from PIL import Image
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import batch, close, host_of, ragged, real, said, shared_model, tiny

from chiasm.connectors import MLP
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer

SLUG = "llava-1.5"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_mlp_has_the_published_size():
    assert count(on_meta(SYSTEM.at("paper")), "connector") == 20_979_712
    with torch.device("meta"):
        larger = MLP().build(1024, 5120)
    assert sum(p.numel() for p in larger.parameters()) == 31_467_520


@lawful
def test_none_of_the_576_rows_of_an_image_is_taught(tmp_path):
    Image.new("RGB", (50, 40), "red").save(tmp_path / "red.png")
    turns = (Turn("what colour is it?", "red"),)
    tokenizer = fit_tokenizer(["what colour is it?", "red"], 270)
    inputs = Collator(SYSTEM.at("paper"), NANO, tokenizer).batch(
        [Example("one", (tmp_path / "red.png",), turns)], teach=True
    )
    rows = inputs.table.modality > 0
    assert int(rows.sum()) == 576
    assert bool((inputs.labels[rows] == -100).all())
    # `red` and the end of the answer are taught, by the rows before them.
    assert int((inputs.labels >= 0).sum()) == len(tokenizer("red").input_ids) + 1


@lawful
def test_without_an_image_it_is_its_host_bit_for_bit():
    model = shared_model(SLUG)
    inputs = batch(tiny(SLUG), [(said(5, 1),), (said(3, 2),)])
    assert torch.equal(model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)])


@lawful
def test_grouping_by_modality_and_length_leaves_the_loss_equal():
    model, samples = shared_model(SLUG), ragged()
    whole = batch(tiny(SLUG), samples)
    total = int((whole.labels >= 0).sum())
    for groups in ([samples[1:2], (samples[0], samples[2])], [samples[:1], samples[1:]]):
        losses = [model.loss(batch(tiny(SLUG), group), total=total) for group in groups]
        close(torch.stack(losses).sum(), model.loss(whole), 1e-5)


@lawful
def test_image_rows_are_replaced_in_place_by_their_tokens():
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), ragged())
    stream = model.stream(inputs)
    tokens = model.connector.connect(model.encoder(inputs.images)).embeddings
    assert torch.equal(stream.embeddings[0, 3 : 3 + 15], tokens[0])
    words = model.decoder.embed(inputs.ids)
    text = inputs.table.modality == 0
    assert torch.equal(stream.embeddings[text], words[text])
