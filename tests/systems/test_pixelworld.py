"""The card of 143 pixelworld as a system: pages read without the patches that hold no ink."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm import data
from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.connectors import Bridge, ShuffleMLP
from chiasm.data.collate import Collator
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.data.views import picture
from chiasm.encoders import RotaryViT, WrittenPatches
from chiasm.errors import Misuse
from chiasm.fusion import GatedCrossAttention
from chiasm.spec.reading import Execution
from chiasm.stream import Inputs, Permission, Role

SLUG = "pixelworld"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
ANSWERS = tiny(SLUG)
EACH = RotaryViT(patch=8, hidden=12, depth=2, heads=3, ff_width=19)
ROWS, COLUMNS = 4, 6
FULL = list(range(24))
SAMPLE = (
    said(2, 1),
    Picture(1, 24, 40),
    said(3, 2),
    said(1, 3, Role.TAG),
    said(2, 4, Role.ASSISTANT),
)


def encoder(threshold: float = 1e-3):
    torch.manual_seed(0)
    return WrittenPatches(each=EACH, threshold=threshold).build().eval().requires_grad_(False)


def page(kept: list[int], images: int = 1) -> torch.Tensor:
    """White pages with ink on these patches alone."""
    pixels = torch.full((images, 3, 8 * ROWS, 8 * COLUMNS), 0.5)
    ink = torch.randn(images, 3, 8 * ROWS, 8 * COLUMNS, generator=torch.Generator().manual_seed(1))
    for at in kept:
        y, x = 8 * (at // COLUMNS), 8 * (at % COLUMNS)
        pixels[:, :, y : y + 8, x : x + 8] = ink[:, :, y : y + 8, x : x + 8]
    return pixels


def asked(kept: list[int], samples: int = 1) -> Inputs:
    """A question about a page of 4 x 6 patches."""
    made = batch(ANSWERS, [SAMPLE] * samples)
    assert made.images.shape[-2:] == (32, 48)
    return replace(made, images=page(kept))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_threshold_below_zero_is_the_encoder_itself():
    plain, images = encoder(-1.0), page([1, 7])
    assert torch.equal(plain(images).tokens, plain.each(images).tokens)
    assert plain(images).valid is None
    whole = fresh(replace(ANSWERS, encoder=replace(ANSWERS.encoder, threshold=-1.0)))
    same = fresh(replace(ANSWERS, encoder=ANSWERS.encoder.each))
    for mine, theirs in zip(whole.parameters(), same.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    with torch.no_grad():
        assert torch.equal(whole(asked([1, 7])), same(asked([1, 7])))


@lawful
def test_what_stays_is_as_if_nobody_saw_the_blanks():
    """By hand: the layers run over the kept patches alone, turned by their own places."""
    kept = [1, 7, 12]
    one, images = encoder(), page(kept)
    found = one(images)
    assert found.valid[0].nonzero().flatten().tolist() == kept
    each = one.each
    x = each.ln_pre(each.patch_conv(images).flatten(2).transpose(1, 2)[:, kept])
    places = torch.tensor([[at // COLUMNS, at % COLUMNS] for at in kept]).float()[None]
    for layer in each.layers:
        x = layer(x, each.rotary(places), Permission())
    close(found.tokens[:, kept], x, 1e-5)
    assert float((each(images).tokens[:, kept] - x).abs().max()) > 1e-3
    blank = one(page([]))
    assert blank.valid[0].nonzero().flatten().tolist() == [0]


@lawful
@pytest.mark.parametrize("execution", list(Execution))
def test_the_host_reads_the_rows_that_stay_and_no_other(execution):
    """As if the sequence had no row for the others, whatever stands beside the sample."""
    model = fresh(ANSWERS).requires_grad_(False)
    inputs = asked([1, 7, 12])
    stream = model.stream(inputs)
    media = (inputs.source[0] >= 0).nonzero().flatten().tolist()
    stay = [media[1], media[7], media[12]]
    assert (~stream.table.valid[0]).nonzero().flatten().tolist() == sorted({*media} - {*stay})
    rows = stream.table.valid[0].nonzero().flatten()
    cut = replace(
        stream,
        embeddings=stream.embeddings[:, rows],
        table=stream.table.rows(rows[None]),
        source=stream.source[:, rows],
    )
    expected = model.scores(model.decoder(cut))
    got = model(inputs, execution=execution)
    close(got[:, rows], expected, 1e-5)
    full = fresh(ANSWERS).requires_grad_(False)(asked(FULL))
    assert float((full - got)[:, rows].abs().max()) > 1e-3


@lawful
def test_pages_of_other_ink_stand_beside_each_other():
    model = fresh(ANSWERS).requires_grad_(False)
    pages = [[1, 7, 12], [0, 2], FULL]
    two = batch(ANSWERS, [(*SAMPLE[:1], Picture(n, 24, 40), *SAMPLE[2:]) for n in (1, 2, 3)])
    together = replace(two, images=torch.cat([page(kept) for kept in pages]))
    got = model(together)
    taught = together.labels >= 0
    for at, kept in enumerate(pages):
        alone = asked(kept)
        close(got[at][taught[at]], model(alone)[0][alone.labels[0] >= 0], 1e-5)
    close(model(together, cache=GrowingCache())[taught], got[taught], 1e-5)


@lawful
def test_every_picture_keeps_its_own_rows():
    model = fresh(ANSWERS).requires_grad_(False)
    sample = (said(2, 1), Picture(1, 24, 40), said(3, 2), Picture(2, 24, 40), said(1, 3))
    inputs = replace(batch(ANSWERS, [sample]), images=torch.cat([page([1, 7]), page([3])]))
    stream = model.stream(inputs)
    shown = inputs.table.valid & (inputs.source >= 0) & stream.table.valid
    assert inputs.source[shown].tolist() == [1, 7, 24 + 3]
    tokens = model.connector.connect(model.encoder(inputs.images)).embeddings
    close(stream.embeddings[shown], torch.stack([tokens[0, 1], tokens[0, 7], tokens[1, 3]]), 1e-6)


@lawful
def test_connectors_that_join_neighbours_are_refused():
    with pytest.raises(Misuse, match="leaves tokens out, but the connector joins neighbours"):
        build(replace(ANSWERS, connector=ShuffleMLP(factor=2)))
    fewer = fresh(replace(ANSWERS, connector=Bridge(soft=4, objects=10)))
    inputs = replace(batch(fewer.answers, [SAMPLE]), images=page([1, 7, 12]))
    with pytest.raises(Misuse, match="the connector makes fewer of those that are left"):
        fewer(inputs)


@lawful
def test_layers_that_read_beside_the_sequence_see_no_blank_either():
    beside = replace(
        ANSWERS, fusion=GatedCrossAttention(every=1, heads=3, head_width=4, gate_start=0.5)
    )
    model = fresh(beside).requires_grad_(False)
    inputs = replace(batch(beside, [SAMPLE]), images=page([1, 7, 12]))
    memory = model.stream(inputs).memory
    assert memory.table.valid[0].nonzero().flatten().tolist() == [1, 7, 12]
    other = memory.tokens + 5.0 * ~memory.table.valid.unsqueeze(-1)
    all_of_it = model.connector.connect(model.encoder(inputs.images)).embeddings
    close(memory.tokens, all_of_it, 1e-6)
    changed = replace(model.stream(inputs), memory=replace(memory, tokens=other))
    assert torch.equal(model.decoder(changed), model.decoder(model.stream(inputs)))


@lawful
def test_work_falls_with_the_share_of_blank_patches():
    model = fresh(ANSWERS).requires_grad_(False)
    full, half, few = (
        operator_macs(lambda kept=kept: model(asked(kept))) for kept in (FULL, FULL[::2], [1, 7])
    )
    assert few < half < full
    one = encoder()
    counts = {n: operator_macs(lambda n=n: one(page(list(range(n))))) for n in (3, 6, 14)}
    patches = operator_macs(lambda: one.each.patch_conv(page([])))

    def layers(n: int) -> int:
        """Projections and a gated feed-forward of n rows, and n squared pairs."""
        return 2 * (n * (4 * 12**2 + 3 * 12 * 19) + 2 * n**2 * 12)

    assert {n: count - patches for n, count in counts.items()} == {n: layers(n) for n in counts}


@lawful
def test_a_page_of_the_packaged_set_is_read():
    few = data.load("easy-vqa-pixels", "test")[:3]
    shown = [picture(example.images[0]) for example in few]
    assert {one.width for one in shown} == {160}
    answers = SYSTEM.at("nano")
    tokenizer = fit_tokenizer([few[0].turns[0].question, few[0].turns[0].answer], 300)
    inputs = Collator(answers, NANO, tokenizer).batch(few, teach=True)
    model = fresh(answers).requires_grad_(False)
    valid = model.encoder(inputs.images, inputs.image_valid).valid
    planned = [-(-one.height // 16) * (one.width // 16) for one in shown]
    assert all(8 < int(own.sum()) < all_ for own, all_ in zip(valid, planned, strict=True))
    seen = inputs.images[0].mean(0).unfold(0, 16, 16).unfold(1, 16, 16).flatten(2).flatten(0, 1)
    inked = (seen.amin(1) < -2) & (seen.amax(1) > 0)
    assert int(inked.sum()) > 8 and bool(valid[0][inked].all())
    assert torch.isfinite(model.loss(inputs))
