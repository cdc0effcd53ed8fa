"""The card of 168 haplovl. Its connector, views and chain are tested in their own rooms."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import Watched, builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, shared_model, tiny

from chiasm.assemble import build
from chiasm.backbone import Chain
from chiasm.distilling import Distillation
from chiasm.encoders import RawPatches
from chiasm.model import Model
from chiasm.spec import geometry
from chiasm.stream import Inputs, Modality, TokenTable
from chiasm.visibility import Causal, dense_mask

SLUG = "haplovl"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = (said(3, 1), Picture(1, 30, 50), said(4, 2), Picture(2, 24, 40), said(2, 3))
TEACHER = RawPatches(patch=4)


def chain(model: Model) -> Chain:
    assert isinstance(model.decoder, Chain)
    return model.decoder


def starts(table: TokenTable) -> torch.Tensor:
    """One integer a key: an image's first index for its rows, a text row's own."""
    found = torch.zeros_like(table.order)
    for sample in range(len(found)):
        for row in range(found.shape[1]):
            same = [
                at
                for at in range(found.shape[1])
                if table.modality[sample, row] == int(Modality.IMAGE)
                and table.modality[sample, at] == int(Modality.IMAGE)
                and table.item[sample, at] == table.item[sample, row]
            ]
            found[sample, row] = table.order[sample, min([row, *same])]
    return found


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_row_sees_a_key_whose_start_is_not_after_it():
    table, rule = batch(tiny(SLUG), [SAMPLE]).table, tiny(SLUG).visibility.sequence
    first = starts(table)
    expected = first.unsqueeze(1) <= table.order.unsqueeze(2)
    assert torch.equal(dense_mask(rule, table, table), expected)
    assert bool((first < table.order).any())


@lawful
def test_where_every_start_is_its_own_row_the_mask_is_causal():
    table, rule = batch(tiny(SLUG), [(said(9, 1),)]).table, tiny(SLUG).visibility.sequence
    assert torch.equal(starts(table), table.order)
    assert torch.equal(dense_mask(rule, table, table), dense_mask(Causal(), table, table))


@lawful
def test_both_stacks_run_under_that_rule():
    decoder, rule = chain(shared_model(SLUG)), tiny(SLUG).visibility.sequence
    assert set(decoder.ahead.stack.rules) == set(decoder.stack.rules) == {rule}
    assert decoder.ahead.stack.depth > 0


@lawful
def test_text_never_alters_rows_of_a_picture_before_it():
    model = shared_model(SLUG)

    def states(*seeds: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pieces = [said(n, seed) for n, seed in zip((3, 4), seeds, strict=True)]
        inputs = batch(tiny(SLUG), [(pieces[0], Picture(1, 30, 50), pieces[1])])
        stream, image = model.stream(inputs), inputs.table.modality == int(Modality.IMAGE)
        return chain(model).early(stream)[image], model.decoder(stream)[image], image

    given, later, before = states(1, 2), states(1, 5), states(6, 2)
    assert int(given[2].sum()) > 10
    for stage in (0, 1):
        assert torch.equal(given[stage], later[stage])
        assert (given[stage] - before[stage]).abs().max() > 1e-3


@lawful
def test_the_last_patch_affects_the_first_patches_row_in_either_stack():
    model = fresh(tiny(SLUG))
    model.encoder = watched = Watched(model.encoder)
    inputs = batch(tiny(SLUG), [SAMPLE[:3]])
    first = int(inputs.source[0].ge(0).nonzero()[0])
    for run in (chain(model).early, model.decoder):
        stream = model.stream(inputs)
        (gradient,) = torch.autograd.grad(run(stream)[0, first].square().sum(), watched.tokens)
        assert gradient[0, -1].abs().max() > 1e-5
    assert not bool(inputs.source[0, :first].ge(0).any())


@lawful
def test_the_published_counts():
    answers = SYSTEM.at("paper")
    assert geometry(answers, (672, 672)).placeholders == 2352
    assert geometry(answers, (672, 672)).grids == ((48, 48),)
    assert geometry(answers, (336, 336)).placeholders == 24 * 25
    model = on_meta(answers)
    assert chain(model).ahead.host.width == 1024 and answers.host.width == 4096
    assert model.decoder.widen.weight.shape == (4096, 1024)
    patches = 3 * 14**2 * 1024 + 24 * 24 * 1024 + 1024
    assert count(model, "encoder") == 0 and count(model, "connector") == patches


@lawful
def test_the_distillations_heads_are_no_part_of_the_model():
    """Its gradient reaches all that stands before the map to the host, and nothing behind it."""
    model = build(tiny(SLUG)).train()
    names = set(model.state_dict())
    teaching = Distillation(model, TEACHER, side=24)
    losses = teaching.losses(model, batch(tiny(SLUG), ragged()))
    assert set(losses) == {"text", "image"}
    sum(losses.values()).backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    ahead = {
        n for n, _ in model.named_parameters() if n.startswith(("decoder.ahead.", "connector."))
    }
    assert reached == ahead
    assert set(model.state_dict()) == names
    assert all(p.grad.any() for p in (teaching.of_images.weight, teaching.of_words.weight))


@lawful
def test_the_distillations_targets_are_the_teachers_cells_and_the_hosts_words():
    """A teacher of one cell a patch: every patch's target is what it sees of that patch."""
    answers = replace(tiny(SLUG), views=replace(tiny(SLUG).views, most=1))
    model = fresh(answers)
    inputs = batch(answers, [(said(3, 1), Picture(1, 50, 50), said(4, 2))])
    assert inputs.images.shape[2:] == (32, 32)
    teaching = Distillation(model, RawPatches(patch=8), side=32)
    with torch.no_grad():
        found = teaching.losses(model, inputs)
    seen = RawPatches(patch=8).build()(inputs.images).tokens[0]
    hidden = chain(model).early(model.stream(inputs))[0]
    image = inputs.table.modality[0] == int(Modality.IMAGE)
    patches = hidden[image].unflatten(0, (4, 5))[:, :4].flatten(0, 1)
    cosine = torch.nn.functional.cosine_similarity
    close(found["image"], (1 - cosine(teaching.of_images(patches), seen)).mean(), 1e-5)
    words = model.decoder.embed_tokens(inputs.ids[0, ~image])
    close(found["text"], (1 - cosine(teaching.of_words(hidden[~image]), words)).mean(), 1e-5)


@lawful
def test_distilling_lowers_both_terms():
    torch.manual_seed(0)
    model, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    teaching = Distillation(model, TEACHER, side=24)
    optimiser = torch.optim.AdamW([*model.parameters(), *teaching.parameters()], lr=3e-3)
    first = teaching.losses(model, inputs)
    for _ in range(20):
        optimiser.zero_grad()
        sum(teaching.losses(model, inputs).values()).backward()
        optimiser.step()
    last = teaching.losses(model, inputs)
    assert all(last[name] < 0.9 * first[name] for name in ("text", "image"))


@lawful
def test_a_batch_of_other_shapes_gives_what_each_gives_alone():
    model = shared_model(SLUG)
    samples = [
        (said(3, 1), Picture(1, 30, 50), said(4, 2)),
        (said(2, 3), Picture(2, 64, 21), said(3, 4)),
    ]
    together = batch(tiny(SLUG), samples)
    got = model(together)
    for at, sample in enumerate(samples):
        alone: Inputs = batch(tiny(SLUG), [sample])
        close(got[at][real(together)[at]], model(alone)[0], 1e-5)
