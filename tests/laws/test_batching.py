"""Laws: a sample's outputs depend neither on its companions nor on how it is padded."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import (
    Picture,
    batch,
    close,
    every,
    fresh,
    looks,
    ragged,
    real,
    said,
    shared_model,
    tiny,
)

from chiasm.encoders import VisionTransformer
from chiasm.errors import Misuse
from chiasm.spec import Answers, NativeResolution
from chiasm.stream import Inputs, TokenTable


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("slug", every())
def test_batched_equals_single(slug, side):
    model = shared_model(slug)
    together = batch(tiny(slug), ragged(), side=side)
    logits = model(together)
    for number, sample in enumerate(ragged()):
        alone = model(batch(tiny(slug), [sample]))[0]
        close(logits[number][real(together)[number]], alone, 1e-4)


@pytest.mark.parametrize("slug", every())
def test_more_padding_changes_nothing(slug):
    model = shared_model(slug)
    short = batch(tiny(slug), ragged())
    expected = model(short)[real(short)]
    for side in ("right", "left"):
        long = batch(tiny(slug), ragged(), side=side, length=short.ids.shape[1] + 5)
        close(model(long)[real(long)], expected, 1e-5)


def scrambled(table: TokenTable, generator: torch.Generator) -> TokenTable:
    """Other identities for the rows that are not real; what counts for sorting stays."""

    def other(column: torch.Tensor) -> torch.Tensor:
        return torch.randint(0, 7, column.shape, generator=generator).to(column.dtype)

    pad = ~table.valid
    return replace(
        table,
        item=torch.where(pad, other(table.item), table.item),
        turn=torch.where(pad, other(table.turn), table.turn),
        role=torch.where(pad, other(table.role), table.role),
        unit=torch.where(pad, other(table.unit), table.unit),
        position=torch.where(pad.unsqueeze(-1), other(table.position), table.position),
    )


def empty_patches(answers: Answers, inputs: Inputs) -> torch.Tensor:
    """True for pixels of patches that hold none of the image (a part of a patch counts as one)."""
    height, width = inputs.images.shape[-2:]
    rows, columns = answers.encoder.grid((height, width))
    p, q = height // rows, width // columns
    whole = inputs.image_valid.unfold(1, p, p).unfold(2, q, q).any(-1).any(-1)
    return ~whole.repeat_interleave(p, 1).repeat_interleave(q, 2)


def disturbed(answers: Answers, inputs: Inputs) -> Inputs:
    """Other ids, pixels and identities wherever there is only padding."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(0, 101, inputs.ids.shape, generator=generator)
    images, memory = inputs.images, inputs.memory
    if images is not None and inputs.image_valid is not None:
        noise = torch.randn(images.shape, generator=generator)
        empty = empty_patches(answers, inputs)
        assert bool(empty.any())
        images = torch.where(empty.unsqueeze(1), noise, images)
    return replace(
        inputs,
        ids=torch.where(real(inputs), inputs.ids, ids),
        table=scrambled(inputs.table, generator),
        images=images,
        memory=None if memory is None else scrambled(memory, generator),
    )


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("slug", every())
def test_padding_is_never_read(slug, side):
    """Bit for bit: padded ids, padded pixels and the identities of padded rows."""
    model, inputs = shared_model(slug), batch(tiny(slug), ragged(), side=side)
    assert not bool(real(inputs).all())
    other = disturbed(tiny(slug), inputs)
    assert torch.equal(model(inputs)[real(inputs)], model(other)[real(inputs)])
    assert torch.equal(model.loss(inputs), model.loss(other))


@pytest.mark.parametrize("slug", every(looks))
def test_images_may_be_listed_in_any_order_and_shared(slug):
    """Who owns which image stands in `owners`, not in the order of the list."""
    model = shared_model(slug)
    samples = [(said(2, n), Picture(n % 3, 24 + n % 3, 40), said(3, n + 9)) for n in range(5)]
    inputs = batch(tiny(slug), samples[:3])
    order = torch.arange(len(inputs.images)).roll(1)
    moved = replace(
        inputs,
        images=inputs.images[order],
        image_valid=None if inputs.image_valid is None else inputs.image_valid[order],
        owners=order.argsort()[inputs.owners],
    )
    close(model(moved), model(inputs), 1e-5)
    shared = batch(tiny(slug), samples)
    assert len(shared.images) == len(inputs.images)
    for number, sample in enumerate(samples):
        rows = real(shared)[number]
        close(model(shared)[number][rows], model(batch(tiny(slug), [sample]))[0], 1e-4)


def reads_any_features(answers: Answers) -> bool:
    """Whether connector and fusion take features of any width and any number, not ids of codes or
    several layers.
    """
    if not looks(answers) or answers.encoder.width == 1 or hasattr(answers.fusion, "features"):
        return False
    try:
        with torch.device("meta"):
            answers.connector.build(20, answers.host.width)
        counts = [answers.connector.count(grid) for grid in ((5, 5), (2, 4))]
    except (ValueError, Misuse):
        return False
    return min(counts) > 0


@pytest.mark.parametrize("slug", every(reads_any_features))
def test_images_of_other_sizes_beside_it_change_nothing(slug):
    """Any looking system at native resolution: padded tokens never take a real token's place."""
    encoder = VisionTransformer(patch=8, width=20, depth=1, heads=4, ff_width=31)
    answers = replace(tiny(slug), views=NativeResolution(longest=40, shortest=16), encoder=encoder)
    try:
        model = fresh(answers).requires_grad_(False)
    except Misuse as error:  # a connector may ask for views of one size, or for other features
        assert 20 < len(str(error)) < 200
        return
    together = batch(answers, ragged())
    assert together.image_valid is not None
    logits = model(together)
    for number, sample in enumerate(ragged()):
        alone = model(batch(answers, [sample]))[0]
        close(logits[number][real(together)[number]], alone, 1e-4)
