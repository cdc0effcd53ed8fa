"""The card of 012 breen."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import batch, fresh, ragged, said, tiny

from chiasm.spec import geometry
from chiasm.stream import Role
from chiasm.training.freezing import freeze

SLUG = "breen"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")
QUERIES = 16 + 9
"""At a teacher's map of 12 x 12, pooled by three and by four."""


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("size", [(480, 640), (64, 64), (1200, 90)])
def test_a_hundred_further_tokens_for_any_image(size):
    found = geometry(PAPER, size)
    rows, columns = found.grids[0]
    assert found.placeholders == rows * columns + 100 and PAPER.connector.cells == (64, 36)


@lawful
def test_answering_runs_no_teacher_and_no_checkpoint_holds_it():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    model(inputs)
    assert not model.connector._teacher
    before = set(model.state_dict())
    model.loss(inputs)
    assert len(model.connector._teacher) == 1 and set(model.state_dict()) == before
    names = {n for n, _ in on_meta(PAPER).named_parameters()}
    assert not any("vision_model" in n or "teacher." in n for n in names)


def by_hand(model, inputs):
    """Query rows of the first sample, the only image it has, one by one."""
    config, total = tiny(SLUG).connector, 0.0
    hidden = model.hidden(inputs)
    image = F.interpolate(inputs.images[:1], (48, 48), mode="bilinear", antialias=True)
    cells = config.teacher.build()(image).tokens[0].T.unflatten(1, (12, 12))
    rows = (inputs.source[0] >= 0).nonzero().flatten()[-QUERIES:]
    at = 0
    for stride, count in zip(config.strides, config.cells, strict=True):
        pooled = F.avg_pool2d(cells, stride).flatten(1).T
        apart = [
            1 - F.cosine_similarity(hidden[0, row - 1], model.connector.teacher_proj(target), dim=0)
            for row, target in zip(rows[at : at + count], pooled, strict=True)
        ]
        total, at = total + torch.stack(apart).mean(), at + count
    return total


@lawful
def test_the_alignment_reads_the_row_before_each_query():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged()[:1])
    term = model.losses(inputs).auxiliary["alignment"]
    torch.testing.assert_close(term, by_hand(model, inputs), rtol=1e-5, atol=1e-6)


@lawful
def test_every_image_is_aligned_with_its_own_features():
    """Two images in one sample, and one in another: the mean of their terms, as often as rows."""
    model = fresh(tiny(SLUG))
    together = model.losses(batch(tiny(SLUG), ragged())).auxiliary["alignment"]
    inputs = batch(tiny(SLUG), ragged())
    swapped = inputs.owners.clone()
    swapped[2] = swapped[2].flip(0)
    hidden = model.hidden(inputs)
    ours = model.connector.align(hidden, inputs)
    torch.testing.assert_close(ours, together)
    other = model.connector.align(hidden, replace(inputs, owners=swapped))
    assert float((ours - other).detach().abs()) > 1e-4


@lawful
def test_the_alignment_never_enters_the_head():
    model = fresh(tiny(SLUG))
    model.losses(batch(tiny(SLUG), ragged())).auxiliary["alignment"].backward()
    moved = {n for n, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert "connector.teacher_proj.weight" in moved and "connector.entering.queries" in moved
    assert not any(name.startswith("head.") for name in moved)
    words = model.decoder.embed_tokens.weight.grad
    seen = set(batch(tiny(SLUG), ragged()).ids.flatten().tolist())
    still = [word for word in range(len(words)) if word not in seen]
    assert still and not bool(words[still].any()), "a tied head would have moved every word"


@lawful
def test_text_alone_is_the_bases_while_its_weights_are_frozen():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    text = batch(tiny(SLUG), [(said(5, 1), said(2, 2, Role.ASSISTANT))])
    before = model(text)
    freeze(model, PAPER.teaching.stages[1].trained)
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    changed = model(inputs).detach()
    model.loss(inputs).backward()
    adam.step()
    assert torch.equal(model.eval()(text), before)
    assert not torch.equal(model(inputs), changed)
