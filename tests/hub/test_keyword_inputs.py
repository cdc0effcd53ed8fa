"""Keyword inputs of chiasm's own systems mean what the collator of training and data means."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.hub.cases import one_line

from chiasm.assemble import build
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.decoding import generate
from chiasm.errors import ChiasmError
from chiasm.hub import KeywordModel
from chiasm.hub.folder import tokens_of_tokenizer
from chiasm.hub.inputs import Past, Pictures, assemble
from chiasm.hub.tokens import SpecialTokens
from chiasm.positions import Sequential
from chiasm.spec import registered

QUESTION = "what color is the shape?"
# Input ids alone do not tell roles (whom rows of these systems look at), drafts of pictures, an
# image's bytes, or which tiles are views of one image.
UNTOLD = {
    *("aki", "vilbert", "zorro", "mudaif"),
    *("bagel", "latte-flow", "x-fusion"),
    *("mblm", "nvlm", "upop", "b2t2", "infimm-hd", "unitnt"),
}
SLUGS = sorted(set(registered()) - UNTOLD - {"text-only"})


@pytest.mark.parametrize("slug", SLUGS)
def test_scores_and_answers_equal_the_collators(slug: str, tmp_path: Path) -> None:
    tokenizer = fit_tokenizer([QUESTION], 300)
    model = build(slug, "nano", seed=5).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Large enough to tell rows apart; gates that start closed are opened.
            parameter.fill_(0.5) if name.endswith(("_gate", ".gate")) else parameter.mul_(2)
    image = tmp_path / "image.png"
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 30).convert("RGB").save(image)
    collator = Collator(model.answers, NANO, tokenizer)
    example = Example("one", (image, image), (Turn(QUESTION),))
    inputs = collator.batch([example], teach=False)
    with torch.no_grad():
        wanted = model(inputs)
        said = generate(model, inputs, max_new=5).ids[:, 0]

    ours = KeywordModel(model, tokens_of_tokenizer(tokenizer))
    media = inputs.source >= 0
    ids = torch.where(media, 3, inputs.ids)
    kept = torch.ones_like(ids).bool()
    if not media.any():
        # Where an image takes no row, its mark stands before the text.
        first = int((inputs.table.item[0] >= 2).nonzero()[0])
        marks = torch.full((1, 2), 3)
        ids = torch.cat([ids[:, :first], marks, ids[:, first:]], 1)
        kept = ids != 3
    given = {"input_ids": ids, "pixel_values": inputs.images}
    with torch.no_grad():
        found = ours(**given).logits
    real = (~media)[0]
    torch.testing.assert_close(found[kept][None][:, real], wanted[:, real], atol=1e-4, rtol=1e-5)
    assert torch.equal(ours.generate(**given, max_new_tokens=5, eos_token_id=())[:, -5:], said)
    with torch.no_grad():
        other = ours(**{**given, "pixel_values": -inputs.images}).logits
    finite = found.isfinite() & other.isfinite()
    assert (other - found)[finite].abs().max() > 1e-2


def test_images_a_model_cannot_place_are_refused() -> None:
    if "text-only" in registered():
        blind = KeywordModel(build("text-only"), SpecialTokens(image=3))
        with pytest.raises(ChiasmError) as error:
            blind(input_ids=torch.ones(1, 3).long(), pixel_values=torch.ones(1, 3, 8, 8))
        assert "looks at no images" in one_line(error)
    if "llava-1.5" in registered():
        nameless = KeywordModel(build("llava-1.5"), SpecialTokens())
        with pytest.raises(ChiasmError) as error:
            nameless(input_ids=torch.ones(1, 3).long(), pixel_values=torch.ones(1, 3, 64, 64))
        assert "no id to the image token" in one_line(error)


@pytest.mark.parametrize("shown", [1, 2])
def test_an_image_of_fewer_rows_than_tokens_shows_its_last_ones(shown: int) -> None:
    """Sources are counted as `Geometry.first_source` and the collator count them."""
    tokens = SpecialTokens(image=3)
    pixels = torch.zeros(shown, 3, 8, 8)
    seen = Pictures(pixels, None, [(1, 5)] * shown, [5] * shown, [2] * shown, kept=(5,) * shown)
    ids = torch.tensor([[7, *[3, 3, 8] * shown]])
    found = assemble(ids, None, None, seen, tokens, Past(), Sequential())
    expected = [source for at in range(shown) for source in (5 * at + 3, 5 * at + 4, -1)]
    assert found.source[0].tolist() == [-1, *expected]
