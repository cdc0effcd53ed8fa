"""The card of 233 beit-3."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, shared_model, tiny

from chiasm.assemble import build
from chiasm.experts import BLOCK, SharedWeights
from chiasm.experts.by_group import NORMS
from chiasm.spec.slots import NormSite
from chiasm.stream import MEDIA, Role, Stream
from chiasm.training.freezing import copy_own

SLUG = "beit-3"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


def image_alone() -> Stream:
    stream = shared_model(SLUG).stream(batch(tiny(SLUG), [(said(2, 1), Picture(1, 30, 50))]))
    index = MEDIA.select(stream.table)[0].nonzero()[:, 0]
    return Stream(stream.embeddings[:, index], stream.table.rows(index[None]))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_published_sizes():
    answers = SYSTEM.at("paper")
    layers = on_meta(answers).decoder.stack.layers
    matrices = [(n, p.numel()) for n, p in layers.named_parameters() if p.dim() == 2]
    attention = sum(size for name, size in matrices if ".self_attn." in name)
    own = sum(size for name, size in matrices if ".mlp." in name and ".experts." not in name)
    added = sum(size for name, size in matrices if ".experts." in name)
    assert attention / 1e6 == pytest.approx(317, abs=1)
    assert own / 1e6 == added / 1e6 == pytest.approx(692, abs=1)


@lawful
def test_fully_split_the_base_is_the_released_one():
    answers = SYSTEM.at("paper")
    base = dict(width=768, depth=12, heads=12, kv_heads=12, head_width=64, ff_width=3072)
    norms = tuple(n for n in NORMS if n is not NormSite.EMBEDDING)
    split = replace(
        answers,
        host=replace(answers.host, **base),
        experts=replace(answers.experts, sites=BLOCK, norms=norms),
    )
    model = on_meta(split)
    assert count(model, "experts") / 1e6 == pytest.approx(85, abs=1)
    assert count(model) / 1e6 == pytest.approx(222, rel=0.02)


@lawful
def test_an_image_alone_ignores_the_words_branch():
    model, stream = fresh(tiny(SLUG)), image_alone()
    before = model.decoder(stream)
    with torch.no_grad():
        for name, parameter in model.decoder.stack.named_parameters():
            if ".mlp." in name and ".experts." not in name:
                parameter.add_(1.0)
    assert torch.equal(model.decoder(stream), before)
    inputs = batch(tiny(SLUG), [(said(2, 1), Picture(1, 30, 50))])
    assert not torch.equal(model(inputs), fresh(tiny(SLUG))(inputs))


@lawful
def test_equal_branches_are_the_plain_transformer():
    model = fresh(tiny(SLUG))
    copy_own(model)
    plain = build(replace(tiny(SLUG), experts=SharedWeights())).eval()
    state = model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    inputs = batch(tiny(SLUG), ragged())
    close(model(inputs)[real(inputs)], plain(inputs)[real(inputs)], 1e-5)


@lawful
def test_an_answer_leaks_into_no_earlier_row():
    asked = (Picture(1, 30, 50), said(3, 1), said(1, 2, Role.TAG))
    one, other = (
        shared_model(SLUG)(batch(tiny(SLUG), [(*asked, said(3, seed, Role.ASSISTANT))]))
        for seed in (4, 5)
    )
    close(one[:, :-3], other[:, :-3], 1e-6)
    assert (one[:, -3:] - other[:, -3:]).abs().max() > 1e-3
