"""The card of 059 sail."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import Permuted, Watched, builds_and_learns, system_or_skip
from tests.tiny import Picture, batch, close, cut, fresh, host_of, real, said, tiny

from chiasm.backbone import GrowingCache
from chiasm.positions import Sequential
from chiasm.spec import WholePatches, geometry
from chiasm.visibility import Causal, Everything, Sight

SLUG = "sail"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

BEFORE, LINES, COLUMNS = 3, 3, 5
PATCHES = LINES * COLUMNS
FIRST = BEFORE + 1
"""The row of the first patch, one after the mark."""
SAMPLE = (said(BEFORE, 1), Picture(1, 24, 40), said(5, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_text_alone_gives_the_hosts_own_logits():
    """Equal positions on both axes are ordinary rotary positions."""
    model = fresh(tiny(SLUG))
    inputs = batch(tiny(SLUG), [(said(7, 1),), (said(4, 2),)])
    plain = host_of(model)
    assert model.answers.host.rope_sections and plain.answers.positions == Sequential()
    table = replace(inputs.table, position=inputs.table.position[..., :1])
    expected = plain(replace(inputs, table=table))
    assert torch.equal(model(inputs)[real(inputs)], expected[real(inputs)])


@lawful
def test_patches_stand_in_rows_and_columns():
    position = batch(tiny(SLUG), [SAMPLE]).table.position[0]
    assert position[:FIRST].tolist() == [[p, p] for p in range(FIRST)]
    patches = position[FIRST : FIRST + PATCHES].view(LINES, COLUMNS, 2)
    assert patches[..., 0].tolist() == [[FIRST + r] * COLUMNS for r in range(LINES)]
    assert patches[..., 1].tolist() == [[*range(FIRST, FIRST + COLUMNS)]] * LINES
    after = FIRST + COLUMNS
    rest = position[FIRST + PATCHES :]
    assert rest.tolist() == [[after + p, after + p] for p in range(6)]


@lawful
def test_text_after_a_second_picture_resumes_after_both():
    sample = (Picture(1, 40, 24), said(2, 1), Picture(2, 8, 24), said(3, 2))
    inputs = batch(tiny(SLUG), [sample])
    text = inputs.table.position[0][inputs.table.modality[0] == 0]
    # 0 and 1..4 hold a mark and max(3, 5) lines: text at 7, 8; again a mark, 5, a mark.
    assert text.tolist() == [[p, p] for p in (7, 8, 16, 17, 18)]


@lawful
def test_permuting_patches_with_their_positions_leaves_text_alone():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE])
    text = inputs.table.modality == 0
    before = model(inputs)[text]
    order = torch.randperm(PATCHES, generator=torch.Generator().manual_seed(3))
    model.encoder = Permuted(model.encoder, order)
    position = inputs.table.position.clone()
    position[0, FIRST : FIRST + PATCHES] = position[0, FIRST + order]
    moved = replace(inputs, table=replace(inputs.table, position=position))
    close(model(moved)[text], before, 1e-5)
    assert float((model(inputs)[text] - before).detach().abs().max()) > 1e-3


@lawful
def test_the_first_patch_depends_on_the_last_and_on_the_end_mark():
    for sight, reaches in ((SYSTEM.at("nano").visibility, True), (CAUSAL, False)):
        model = fresh(replace(tiny(SLUG), visibility=sight))
        model.encoder = Watched(model.encoder)
        hidden = model.hidden(batch(tiny(SLUG), [SAMPLE]))
        hidden[0, FIRST].sum().backward()
        reached = model.encoder.tokens.grad[0, -1].abs().sum() > 0
        assert bool(reached) == reaches
        end = model.connector.end.grad
        assert bool(end is not None and end.abs().sum() > 0) == reaches


CAUSAL = Sight(sequence=Causal(), memory=Everything())


@lawful
def test_cached_steps_equal_a_full_pass():
    model, inputs, cache = fresh(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE]), GrowingCache()
    prompt, rows = FIRST + PATCHES + 2, inputs.ids.shape[1]
    pieces = [model(cut(inputs, slice(0, prompt), media=True), cache=cache)]
    for row in range(prompt, rows):
        pieces.append(model(cut(inputs, slice(row, row + 1), media=False), cache=cache))
    close(torch.cat(pieces, 1), model(inputs), 1e-5)


@lawful
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (100, 3), (23, 41)])
def test_a_picture_takes_its_patches_and_two_marks(size):
    answers = replace(tiny(SLUG), views=WholePatches(patch=8, most=10_000))
    lines, columns = -(-size[0] // 8), -(-size[1] // 8)
    assert geometry(answers, size).placeholders == lines * columns + 2


@pytest.mark.parametrize("size", [(3000, 2000), (1, 10**6), (777, 9999), (641, 641)])
def test_large_pictures_are_scaled_down_to_the_most_patches_of_their_aspect(size):
    (view,) = WholePatches(patch=10, most=4096).plan(size)
    lines, columns = view.target[0] // 10, view.target[1] // 10
    assert 1 <= lines * columns <= 4096
    if min(size) > 640:
        assert lines * columns > 0.9 * 4096
        assert lines / columns == pytest.approx(size[0] / size[1], rel=0.1)
