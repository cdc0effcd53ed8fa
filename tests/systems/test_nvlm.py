"""The card of 229 nvlm, in its three forms: D, X and H."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, host_of, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.fusion import InSequence, ThumbnailInline
from chiasm.spec import Answers, Scale, Tiles, geometry
from chiasm.stream import Modality
from chiasm.visibility import Causal, OwnTile, Sight, dense_mask

SLUG = "nvlm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
TILE = 16
"""Tokens of a tile of 32 x 32 pixels in patches of 8."""
SQUARE = Picture(1, 64, 64)
SAMPLE = (said(3, 1), SQUARE, said(4, 2))


def form(name: str, of: Answers, inline: int) -> Answers:
    """The answers of one form."""
    read = of.fusion.read
    if name == "d":
        return replace(of, fusion=InSequence())
    if name == "x":
        sight = Sight(sequence=Causal(), memory=OwnTile())
        return replace(of, fusion=ThumbnailInline(inline=0, read=read), visibility=sight)
    return replace(of, fusion=ThumbnailInline(inline=inline, read=read))


FORMS = {name: form(name, tiny(SLUG), TILE) for name in "dxh"}


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)
    for answers in FORMS.values():
        model, inputs = build(answers).train(), batch(answers, ragged())
        model.loss(inputs).backward()
        assert all(p.grad is not None for p in model.parameters())


@lawful
@pytest.mark.parametrize(("name", "rows"), [("d", 1792), ("h", 256), ("x", 0)])
def test_rows_of_visual_tokens_at_six_tiles(name, rows):
    answers = form(name, SYSTEM.at(Scale.PAPER), 256)
    plan = geometry(answers, (896, 1344))
    assert len(plan.views) == 7 and plan.tokens_per_view == (256,) * 7
    assert plan.placeholders == rows == sum(plan.rows_per_view)
    assert cost(answers, text=64, image_size=(896, 1344)).rows == 64 + rows
    assert plan.rows_per_view[-1] == min(rows, 256)


@lawful
def test_which_layers_read():
    stack = on_meta(SYSTEM.at(Scale.PAPER)).decoder.stack
    assert [int(layer) for layer in stack.before] == list(range(0, 80, 8))


@lawful
def test_with_closed_gates_x_is_the_text_model_bit_for_bit():
    model, inputs = build(FORMS["x"]).eval(), batch(FORMS["x"], ragged())
    assert inputs.images is not None and not bool((inputs.table.modality > 0).any())
    assert torch.equal(model(inputs), host_of(model)(inputs))


@lawful
def test_with_closed_gates_h_is_the_model_of_the_thumbnail():
    answers = FORMS["h"]
    model = build(answers).eval().requires_grad_(False)
    plain = build(replace(answers, fusion=InSequence())).eval().requires_grad_(False)
    state = model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    inputs = batch(answers, ragged())
    assert int((inputs.source >= 0).sum()) == TILE * 3
    assert torch.equal(model(inputs), plain(inputs))
    changed = other_tile(inputs, 1)
    assert torch.equal(model(inputs), model(changed)), "no tile is read yet"


def other_tile(inputs, number: int):
    """The same sample with another picture in one view."""
    images = inputs.images.clone()
    images[number] = torch.randn(images[number].shape, generator=torch.Generator().manual_seed(7))
    return replace(inputs, images=images)


def first_reads(answers, inputs):
    """What the first layer's gated block adds to every row, before its feed-forward."""
    model = fresh(answers).requires_grad_(False)
    seen: list[torch.Tensor] = []
    block = model.decoder.stack.before["0"]
    block.to_out.register_forward_hook(lambda module, given, out: seen.append(out))
    model(inputs)
    return seen[0][0]


@lawful
@pytest.mark.parametrize("name", ["x", "h"])
@pytest.mark.parametrize("view", [0, 2, 4])
def test_a_tags_read_depends_on_its_own_tile_alone(name, view):
    """Views 0 to 3 are tiles, 4 the thumbnail; a hidden row of the first layer is its embedding."""
    answers = FORMS[name]
    inputs = batch(answers, [SAMPLE])
    one, two = (first_reads(answers, given) for given in (inputs, other_tile(inputs, view)))
    changed = (one != two).any(-1)
    table = inputs.table
    text = table.modality[0] == int(Modality.TEXT)
    tags = text & (table.unit[0] > 0)
    assert table.unit[0, tags].tolist() == [1, 2, 3, 4, 5]
    read = name == "x" or view < 4
    expected = [unit == view + 1 and read for unit in range(1, 6)]
    assert changed[tags].tolist() == expected
    plain = text & (table.unit[0] == 0)
    before = plain & (table.item[0] == 0)
    assert not bool(changed[before].any())
    assert changed[plain & ~before].tolist() == [read] * 4
    if name == "h" and view < 4:
        assert bool(changed[~text].all()), "the thumbnail's rows read the tiles"


@lawful
def test_the_thumbnail_is_read_by_nobody_in_form_h():
    answers = FORMS["h"]
    inputs = batch(answers, [SAMPLE])
    permitted = dense_mask(answers.visibility.memory, inputs.table, inputs.memory)
    assert not bool(permitted[..., inputs.memory.unit[0] == 5].any())
    assert bool(permitted[0, -1, inputs.memory.unit[0] < 5].all())


@lawful
def test_rows_of_form_h_are_the_thumbnails_tokens():
    answers = FORMS["h"]
    model = fresh(answers).requires_grad_(False)
    inputs = batch(answers, [(SQUARE, said(1, 1), Picture(2, 64, 64), said(2, 2))])
    stream, tokens = model.stream(inputs), model.media(inputs).entering
    media = inputs.table.modality[0] > 0
    expected = torch.cat([tokens[0, 4 * TILE : 5 * TILE], tokens[0, 9 * TILE :]])
    assert torch.equal(stream.embeddings[0, media], expected)


@lawful
def test_tags_are_written_as_text_before_each_tile(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (64, 64), "red").save(path)
    tokenizer = fit_tokenizer(["what is it? a square"], 280)
    answers = FORMS["h"]
    answers = replace(answers, host=replace(answers.host, vocabulary=len(tokenizer)))
    example = Example("one", (path,), (Turn("what is it?", "a square"),), True)
    inputs = Collator(answers, NANO, tokenizer).batch([example], teach=True)
    table = inputs.table
    said_ids = [
        inputs.ids[0, (table.unit[0] == unit) & (table.modality[0] == 0)] for unit in range(1, 6)
    ]
    words = [tokenizer.decode(ids) for ids in said_ids]
    assert words == [f"<tile_{n}>" for n in range(1, 5)] + ["<tile_global_thumbnail>"]
    assert bool((inputs.labels[0, table.unit[0] > 0] == -100).all())
    rows = table.unit[0, table.unit[0] > 0]
    assert torch.equal(rows, rows.sort().values), "view after view"
    assert table.unit[0, table.modality[0] > 0].unique().tolist() == [5]
    assert inputs.memory.unit[0].unique().tolist() == [1, 2, 3, 4, 5]


@lawful
@pytest.mark.parametrize(
    ("size", "grid"),
    [((448, 448), 1), ((896, 896), 4), ((448, 1344), 3), ((1344, 896), 6), ((100, 600), 6)],
)
def test_tiles_follow_the_shape_of_the_image(size, grid):
    views = Tiles(side=448, most=6).plan(size)
    assert len(views) == (grid + 1 if grid > 1 else 1)
    assert views[-1].unit == 7 and views[-1].tag == "<tile_global_thumbnail>"
    boxes = [view.box for view in views[:-1]]
    area = sum((bottom - top) * (right - left) for top, left, bottom, right in boxes)
    assert not boxes or area == pytest.approx(1.0)


@lawful
def test_padding_and_companions_change_nothing_in_any_form():
    for answers in FORMS.values():
        model = fresh(answers).requires_grad_(False)
        together = batch(answers, ragged(), side="left")
        logits = model(together)
        for number, sample in enumerate(ragged()):
            alone = model(batch(answers, [sample]))[0]
            close(logits[number][real(together)[number]], alone, 1e-4)
