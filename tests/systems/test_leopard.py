"""The card of 072 leopard. Its budget is tested over 1,000 samples in `tests/spec`."""

import pytest
import torch
from PIL import Image
from tests.systems.card import builds_and_learns, system_or_skip
from tests.tiny import tiny

from chiasm.cost.load import Load, load_inputs, rows
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.spec import Scale, geometry

SLUG = "leopard"
SYSTEM = system_or_skip(SLUG)
PAPER, SMALL = SYSTEM.at(Scale.PAPER), SYSTEM.at(Scale.NANO)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SIZES = [(96, 96), (40, 100), (64, 33), (20, 20)]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_an_image_of_one_tile_is_one_view_of_169_tokens():
    plan = geometry(PAPER, (364, 364))
    assert plan.grids == ((26, 26),) and plan.tokens_per_view == (169,)


@lawful
@pytest.mark.parametrize("images", [1, 2, 5, 13, 49])
def test_a_sample_holds_at_most_8450_tokens(images):
    size = 4000, 3000
    plan = geometry(PAPER, size, [size] * (images - 1))
    assert images * plan.placeholders <= 50 * 169 == 8450
    assert len(plan.views) >= 1 and plan.views[-1].kind == "global"


@lawful
def test_unequal_images_get_shares_by_their_size():
    small, large = (364, 728), (3640, 3640)
    assert PAPER.views.share(small, [large]) == 0
    assert PAPER.views.share(large, [small]) == 47
    assert PAPER.views.share(small, [small]) == 2


@lawful
def test_a_batch_holds_what_is_planned_beside_the_others():
    """Two samples hold the same first image, which takes other rows in each."""
    tokenizer = fit_tokenizer(["what is it?", "red"], 270)
    pictures = [Image.new("RGB", size[::-1]) for size in SIZES]
    turns = (Turn("what is it?", "red"),)
    samples = [tuple(pictures), (pictures[0],)]
    asked = [Example(str(n), images, turns) for n, images in enumerate(samples)]
    inputs = Collator(SMALL, NANO, tokenizer).batch(asked, teach=True)
    planned = [
        [geometry(SMALL, s, [*SIZES[:at], *SIZES[at + 1 :]]) for at, s in enumerate(SIZES)],
        [geometry(SMALL, SIZES[0])],
    ]
    for number, plans in enumerate(planned):
        held = inputs.source[number] >= 0
        assert int(held.sum()) == sum(plan.placeholders for plan in plans)
        assert int((inputs.owners[number] >= 0).sum()) == sum(len(plan.views) for plan in plans)
        for item, plan in enumerate(plans, 1):
            own = held & (inputs.table.item[number] == item)
            assert int(own.sum()) == plan.placeholders
    assert planned[0][0].placeholders < planned[1][0].placeholders


@lawful
@pytest.mark.parametrize("pictures", [1, 2, 3, 7])
def test_cost_counts_pictures_beside_one_another(pictures):
    answers = tiny(SLUG)
    load = Load(text=5, pictures=pictures, image=(96, 70), new=3)
    each = geometry(answers, (96, 70), [(96, 70)] * (pictures - 1))
    assert rows(answers, load) == 5 + 3 + pictures * each.placeholders
    inputs = load_inputs(answers, load)
    assert len(inputs.images) == pictures * len(each.views)
    assert int((inputs.source >= 0).sum()) == pictures * each.placeholders
    assert torch.equal(inputs.source.max() + 1, torch.tensor(pictures * each.placeholders))
