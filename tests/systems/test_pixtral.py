"""The card of 187 pixtral. Equality with transformers' classes is in `tests/hub`, its sizes' with
transformers' processor in `tests/spec`.
"""

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.connectors import CAbstractor, Linear, RowBreaks
from chiasm.encoders import RotaryViT
from chiasm.encoders.rotary_vit import two_axes
from chiasm.errors import Misuse
from chiasm.layers import rotate
from chiasm.spec import Scale, geometry
from chiasm.stream import Features

SLUG = "pixtral"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize(
    ("size", "rows"), [((1024, 1024), 4160), ((512, 256), 544), ((2048, 2048), 4160), ((1, 1), 2)]
)
def test_rows_are_lines_of_tokens_and_a_break_each(size, rows):
    plan = geometry(PAPER, size)
    assert plan.placeholders == rows == sum(r * (c + 1) for r, c in plan.grids)


@lawful
def test_parts_have_the_published_sizes():
    """0.4 and 12 billion parameters, and an MLP with biases between."""
    model = on_meta(PAPER)
    assert 4.0e8 < count(model, "encoder") < 4.1e8
    assert 12.2e9 < count(model, "decoder", "head") < 12.3e9
    assert count(model, "connector") == 1024 * 5120 + 5120 + 5120 * 5120 + 5120 + 2 * 5120


@lawful
def test_images_together_equal_each_alone():
    """Beside one another, padded to the largest: no image reads another's patches, or padding."""
    model, answers = fresh(tiny(SLUG)), tiny(SLUG)
    pictures = [Picture(1, 40, 16), Picture(2, 16, 40), Picture(3, 24, 24)]
    together = batch(answers, [(*pictures, said(2, 1))])
    features = model.media(together).entering[0]
    apart = [model.media(batch(answers, [(p, said(2, 1))])).entering[0] for p in pictures]
    # What the smaller images are padded with comes last.
    held = torch.cat(apart)
    assert len(features) > len(held)
    close(features[: len(held)], held, 1e-5)


@lawful
def test_only_differences_of_places_count():
    """A number added to all rows, or to all columns, leaves what heads compare as it was."""
    rotary = two_axes(16, 10_000.0)
    q, k = torch.randn(2, 1, 3, 12, 16).unbind(0)
    place = torch.cartesian_prod(torch.arange(3.0), torch.arange(4.0)).unsqueeze(0)

    def scores(place):
        tables = rotary(place)
        return rotate(q, tables) @ rotate(k, tables).transpose(-1, -2)

    for shift in ([7.0, 0.0], [0.0, 5.0], [3.0, 11.0]):
        close(scores(place + torch.tensor(shift)), scores(place), 1e-5)
    assert float((scores(place.flip(-1)) - scores(place)).abs().max()) > 1e-2


@lawful
def test_frequencies_take_turns_between_rows_and_columns():
    plain = 1.0 / 10_000.0 ** (torch.arange(0, 16, 2) / 16)
    rotary = two_axes(16, 10_000.0)
    frequencies = next(b for b in rotary.buffers() if b.numel() == 8)
    assert torch.equal(frequencies, torch.cat([plain[0::2], plain[1::2]]))


@lawful
@pytest.mark.parametrize("tall", [True, False])
def test_a_smaller_image_ends_where_its_own_last_line_ends(tall):
    answer = RowBreaks(each=Linear())
    connector = answer.build(5, 7)
    maps, valid = torch.randn(2, 3, 4, 5), torch.ones(2, 3, 4, dtype=torch.bool)
    rows, columns = (3, 2) if tall else (2, 4)
    valid[1] = False
    valid[1, :rows, :columns] = True
    features = Features(maps.flatten(1, 2), (3, 4), valid.flatten(1))
    out = connector.connect(features)
    small = out.embeddings[1][out.valid[1]]
    alone = Features(maps[1:, :rows, :columns].flatten(1, 2), (rows, columns))
    torch.testing.assert_close(small, connector.connect(alone).embeddings[0])
    lines = small.view(rows, columns + 1, 7)
    assert torch.equal(lines[-1, -1], connector.end)
    assert all(torch.equal(line[-1], connector.line) for line in lines[:-1])
    assert len(small) == answer.count((rows, columns))


@lawful
def test_tokens_without_lines_are_refused():
    with pytest.raises(Misuse, match="4 tokens of a grid of 3 x 4 have no lines"):
        RowBreaks(each=CAbstractor(side=2, hidden=8)).count((3, 4))


@lawful
def test_a_part_of_a_patch_is_left_out():
    assert RotaryViT(patch=16, hidden=64, depth=1, heads=4, ff_width=8).grid((47, 32)) == (2, 2)
