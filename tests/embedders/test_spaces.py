"""Spaces that need no teaching: colours, spelling, and classes by their names."""

import pytest
import torch
from PIL import Image
from tests.embedders.few import few
from torch.nn.functional import normalize

from chiasm.embedders.class_names import class_names
from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.stages.colours import COLOURS, NamedColours, PictureColours
from chiasm.embedders.stages.named_classes import name_vectors
from chiasm.embedders.stages.spelling import Spelling
from chiasm.lineages.bound_spaces import named
from chiasm.lineages.embedders import MINILM
from chiasm.spec.embedder import registered_embedders


def read(encoder, *parts):
    """What a space that needs no weights has of single parts."""
    inputs = encoder.reader(encoder.tokenizer()).read([Content(parts=(one,)) for one in parts])
    states = encoder.build()(inputs)
    assert states.tokens.shape == (len(parts), 1, encoder.width)
    return states.tokens[:, 0]


def test_a_plain_picture_is_nearest_to_the_name_of_its_colour():
    pictures = [shown(Image.new("RGB", (37, 23), shade)) for shade in COLOURS.values()]
    seen = read(PictureColours(), *pictures)
    said = read(NamedColours(), *(words(f"a large {name.upper()} thing") for name in COLOURS))
    torch.testing.assert_close(seen.sum(-1), torch.ones(len(COLOURS)))
    nearest = (normalize(said, dim=-1) @ normalize(seen, dim=-1).T).argmax(-1)
    assert nearest.tolist() == list(range(len(COLOURS)))


def test_half_a_picture_counts_for_half_and_a_text_without_colours_is_zero():
    half = Image.new("RGB", (64, 64), COLOURS["blue"])
    half.paste(COLOURS["yellow"], (0, 0, 32, 64))
    (seen,) = read(PictureColours(), shown(half))
    places = [list(COLOURS).index(name) for name in ("blue", "yellow")]
    torch.testing.assert_close(seen[places], torch.tensor([0.5, 0.5]), rtol=0, atol=0.06)
    none, grey, twice = read(
        NamedColours(), words("reddish"), words("a gray cat"), words("red, red and blue")
    )
    assert not none.any()
    assert grey.nonzero().tolist() == [[list(COLOURS).index("grey")]]
    assert sorted(twice.tolist(), reverse=True)[:3] == [2, 1, 0]


def test_words_written_alike_are_near():
    first, near, far = normalize(
        read(Spelling(), words("rabbit"), words("Rabbits"), words("elephant")), dim=-1
    )
    assert first @ near > 0.6 > 0.3 > first @ far
    same, spaced = read(Spelling(), words("red  fox"), words("red fox"))
    assert torch.equal(same, spaced)
    assert not read(Spelling(lengths=(5,)), words("ox")).any()  # too short for any run


def test_a_picture_lies_among_the_names_of_its_classes():
    assert len(class_names()) == 1000
    assert class_names()[0] == ("tench", "Tinca tinca")
    names = name_vectors(MINILM)
    torch.testing.assert_close(names.norm(dim=-1), torch.ones(1000))
    _, tower = named("names", MINILM)
    encoder = tower.encoder.build().eval()
    pictures = tower.encoder.reader(None).read(
        [Content(parts=(shown(pair.picture),)) for pair in few(3)]
    )
    with torch.no_grad():
        found = encoder(pictures).tokens
        scores = encoder.pictures(pictures).tokens
    torch.testing.assert_close(found, scores.softmax(-1) @ names)
    with torch.no_grad():
        encoder.pictures.encoder.fc.weight.zero_()
        encoder.pictures.encoder.fc.bias.zero_()[7] = 1e4
        torch.testing.assert_close(encoder(pictures).tokens[:, 0], names[7].expand(3, -1))


@pytest.mark.parametrize("scale", ["nano", "smol", "paper"])
def test_every_router_reads_and_weighs_towers_that_there_are(scale):
    if "omnibind" not in registered_embedders():
        pytest.skip("no omnibind")
    answers = registered_embedders()["omnibind"].at(scale)
    towers = {tower.name for tower in answers.encode}
    fuse = answers.fuse
    assert {tower for space in fuse.spaces for tower in space.towers} == towers
    for router in fuse.routers:
        assert {*router.towers, *router.reads} <= towers
        assert fuse.hub in {fuse.space_of(tower).name for tower in router.towers}
