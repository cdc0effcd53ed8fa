"""The card of 206 one-peace."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, said, tiny

from chiasm.assemble import build
from chiasm.stream import MEDIA, TEXT, Modality, Rows, Stream

SLUG = "one-peace"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = [(said(2, 1), Picture(1, 30, 50), said(3, 2))]
HEARD = Rows.of(Modality.AUDIO)
THREE = (TEXT, MEDIA & ~HEARD, HEARD)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_published_sizes():
    layers = on_meta(SYSTEM.at("paper")).decoder.stack.layers
    matrices = [(n, p.numel()) for n, p in layers.named_parameters() if p.dim() == 2]
    attention = sum(size for name, size in matrices if ".self_attn." in name)
    added = sum(size for name, size in matrices if ".experts." in name)
    assert attention / 1e6 == pytest.approx(377, abs=1)
    assert added / 1e6 == pytest.approx(1132, abs=1)


@lawful
def test_an_image_alone_gives_the_text_feed_forward_no_gradient():
    model = fresh(tiny(SLUG))
    stream = model.stream(batch(tiny(SLUG), SAMPLE))
    index = MEDIA.select(stream.table)[0].nonzero()[:, 0]
    alone = Stream(stream.embeddings[:, index], stream.table.rows(index[None]))
    model.decoder(alone).square().sum().backward()
    for name, parameter in model.decoder.stack.layers.named_parameters():
        if ".mlp." in name:
            moved = parameter.grad is not None and bool(parameter.grad.any())
            assert moved is (".experts." in name), name


@lawful
def test_a_new_modality_adds_one_feed_forward_and_its_norms():
    answers = SYSTEM.at("paper")
    wider = replace(answers, experts=replace(answers.experts, kinds=THREE))
    assert count(on_meta(wider), "experts") == 2 * count(on_meta(answers), "experts")
    assert count(on_meta(wider), "decoder") == count(on_meta(answers), "decoder")


@lawful
def test_teaching_a_new_modality_leaves_the_others_as_they_are():
    answers = tiny(SLUG)
    model = build(replace(answers, experts=replace(answers.experts, kinds=THREE))).eval()
    inputs = batch(answers, SAMPLE)
    before = model(inputs)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".experts.1." in name:
                parameter.normal_()
    assert torch.equal(model(inputs), before)
    heard = replace(inputs.table, modality=inputs.table.modality * int(Modality.AUDIO))
    assert not torch.equal(model(replace(inputs, table=heard)), before)
