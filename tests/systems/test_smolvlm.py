"""The card of 047 smolvlm. Equality with transformers' class is in `tests/hub`, its views' with
transformers' processor in `tests/spec`.
"""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip

from chiasm.connectors import ShuffleLinear
from chiasm.connectors.shuffle import space_to_depth
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.lineages.encoders import SMOLVLM_B_512
from chiasm.spec import GridTiles, Scale, geometry

SLUG = "smolvlm"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
SMALL = replace(
    PAPER,
    views=GridTiles(side=512, longest=2048, tags=PAPER.views.tags),
    encoder=SMOLVLM_B_512,
    connector=ShuffleLinear(factor=4),
)
"""The looking half of the 256M and 500M models."""
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize(("answers", "each"), [(SMALL, 64), (PAPER, 81)], ids=["512", "384"])
@pytest.mark.parametrize(
    ("size", "views"), [((900, 900), 17), ((480, 640), 13), ((30, 40), 13), ((10, 2000), 5)]
)
def test_views_times_tokens_of_a_view(answers, each, size, views):
    plan = geometry(answers, size)
    assert len(plan.views) == views and plan.placeholders == views * each


@lawful
def test_17_views_are_1088_or_1377_tokens():
    assert geometry(SMALL, (2048, 2048)).placeholders == 1088
    assert geometry(PAPER, (2048, 2048)).placeholders == 1377


@lawful
def test_the_shuffle_is_a_bijection():
    """Undone by hand: every number of every token is there once."""
    tokens = torch.arange(2 * 8 * 12 * 3.0).view(2, 96, 3)
    blocks = space_to_depth(tokens, (8, 12), 4)
    assert blocks.shape == (2, 6, 48)
    back = blocks.view(2, 2, 3, 4, 4, 3).permute(0, 1, 3, 2, 4, 5).reshape(2, 96, 3)
    assert torch.equal(back, tokens)


@lawful
def test_the_connector_is_one_map_without_a_bias():
    assert count(on_meta(PAPER), "connector") == 9 * 1152 * 2048
    assert count(on_meta(SMALL), "connector") == 16 * 768 * 2048


@lawful
def test_tags_stand_before_their_tiles_and_are_ids_where_the_tokenizer_has_them():
    """In the released processor's order: a line of tiles, a newline, the whole image, an end."""
    around, turns = "<fake_token_around_image>", (Turn("what is it?", "red"),)
    text = fit_tokenizer(["what is it?", "red"], 270)
    known = [around, "<global-img>", "<row_1_col_1>", "<row_1_col_2>"]
    text.add_special_tokens({"additional_special_tokens": known})
    answers = replace(
        SYSTEM.at(Scale.NANO),
        views=GridTiles(side=32, longest=64, tags=PAPER.views.tags),
        host=replace(SYSTEM.at(Scale.NANO).host, vocabulary=len(text)),
    )
    example = Example("one", (Image.new("RGB", (60, 20)),), turns)
    inputs = Collator(answers, NANO, text).batch([example], teach=True)
    table, ids = inputs.table, inputs.ids[0]
    image = (table.modality[0] > 0).tolist()
    said = [text.decode([i]) if not seen else "*" for i, seen in zip(ids, image, strict=True)]
    written = "".join(said)
    each = geometry(answers, (20, 60)).tokens_per_view[0]
    stars = "*" * each
    assert (
        f"{around}<row_1_col_1>{stars}{around}<row_1_col_2>{stars}\n\n{around}<global-img>{stars}"
        f"{around}" in written
    )
    assert set(text.convert_tokens_to_ids(known)) <= set(ids.tolist())
    assert bool((inputs.labels[0][table.modality[0] > 0] == -100).all())
