"""The house embedder: MiniLM's words as they were, and pictures that meet them."""

from pathlib import Path

import pytest
import sklearn.datasets
import torch
from PIL import Image

from chiasm import weights
from chiasm.data import pairs
from chiasm.data.media import read_image
from chiasm.data.views import picture
from chiasm.embedders import house
from chiasm.embedders.house import House
from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval import Item, Role, SentenceModel, similarity

PHOTOGRAPHS = Path(sklearn.datasets.__file__).parent / "images"


@pytest.fixture(scope="module")
def embedder() -> House:
    return House.open()


def test_words_alone_are_minilm_s(embedder: House) -> None:
    items = [Item(text=text) for text in ("a cup of tea", "two dogs on a beach", "x")]
    plain = SentenceModel.open(weights.path("minilm-l6"))
    found = embedder.embed(items, role=Role.QUERY).vectors
    torch.testing.assert_close(found, plain.embed(items, role=Role.QUERY).unit())


def test_a_picture_s_vector_does_not_depend_on_its_neighbours(embedder: House) -> None:
    pictures = [Image.new("RGB", (31 + 11 * at, 53), (40 * at, 90, 0)) for at in range(5)]
    items = [Item(image=one) for one in pictures]
    together = embedder.embed(items, role=Role.DOCUMENT).vectors
    alone = [embedder.embed([one], role=Role.DOCUMENT).vectors for one in items]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_both_together_are_the_sum(embedder: House) -> None:
    picture = Image.new("RGB", (41, 37), "olive")
    parts = [Item(text="an olive"), Item(image=picture), Item(text="an olive", image=picture)]
    words, seen, both = embedder.embed(parts, role=Role.QUERY).vectors
    torch.testing.assert_close(both, torch.nn.functional.normalize(words + seen, dim=0))


def test_photographs_are_found_by_words(embedder: House) -> None:
    """Photographs of another package, of which nothing was taught."""
    shown = [Item(image=read_image(PHOTOGRAPHS / name)) for name in ("china.jpg", "flower.jpg")]
    asked = [
        *("a chinese temple", "a palace with a tiled roof", "a building"),
        *("a flower", "petals of a dahlia", "a plant in bloom"),
    ]
    queries = embedder.embed([Item(text=text) for text in asked], role=Role.QUERY)
    scores = similarity(queries, embedder.embed(shown, role=Role.DOCUMENT))
    assert scores.argmax(1).tolist() == [0, 0, 0, 1, 1, 1]


def test_held_out_emoji_are_found_far_above_chance(embedder: House) -> None:
    """67 concepts that were not taught; by chance a twentieth of them would be found."""
    held = [pair for pair in pairs.load("emoji", "test") if pair.design == "twemoji"]
    held = list({pair.concept: pair for pair in held}.values())[:67]
    drawn = [picture(pair.picture) for pair in held]
    shown = embedder.embed([Item(image=one) for one in drawn], role=Role.DOCUMENT)
    asked = embedder.embed([Item(text=pair.texts[0]) for pair in held], role=Role.QUERY)
    best = similarity(asked, shown).topk(3).indices
    hits = (best == torch.arange(len(held))[:, None]).any(1).float().mean()
    assert hits > 0.2


def test_nothing_and_tasks_are_refused(embedder: House) -> None:
    with pytest.raises(Misuse, match="no item"):
        embedder.embed([], role=Role.QUERY)
    with pytest.raises(Misuse, match="task 'code' is unknown"):
        embedder.embed([Item(text="x")], role=Role.QUERY, task="code")


def test_another_file_is_no_projector(tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match="no projector"):
        house.read_projector(tmp_path / "absent.safetensors")
