"""Search: composition of queries, its rankings, and their fusion, against the sums written out."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.library.conftest import index

from chiasm.errors import Misuse
from chiasm.library.searching import FLAT, composed, rankings, search
from chiasm.library.vectors import Vectors
from chiasm.retrieval.embedder import Item, Role
from chiasm.retrieval.embedding import Multi, Single
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.unit import Kind, Unit
from chiasm.retrieval.where import parse

WORDS = {
    "tabby": "A tabby cat sleeps on the wall",
    "dog": "A dog sleeps on the sofa",
    "pump": "The heating pump in the cellar",
    "valve": "Replace the valve P-4711 of the pump",
    "trip": "Our trip to the sea",
}


class Colours:
    """Words by MiniLM's way is not needed here: pictures and colour names in one space of 3."""

    NAMES = ("red", "green", "blue")

    def embed(self, items, *, role, instruction="", task=""):
        return Single(vectors=torch.tensor([self._of(item) for item in items]))

    def _of(self, item):
        if item.image is not None:
            return [one + 1.0 for one in item.image.resize((1, 1)).getpixel((0, 0))]
        return [0.1 + item.text.count(name) for name in self.NAMES]


def unit(one, **given):
    return Unit(**{"id": one, "path": f"{one}.txt", "file": one, "kind": Kind.TEXT, **given})


def query(words="", *, minus="", weight=1.0, **given):
    parts = [Part(item=Item(text=words))] if words else []
    if minus:
        parts.append(Part(item=Item(text=minus), weight=-weight))
    return Query(parts=tuple(parts), **given)


def ids(hits):
    return [hit.unit.id for hit in hits]


@pytest.fixture(scope="module")
def store(vectors):
    found = Listed()
    found.put(vectors.rows([unit(one, text=text) for one, text in WORDS.items()]))
    return found


def test_a_query_is_the_unit_sum_of_its_weighted_parts(store, vectors, minilm):
    asked = Query(
        parts=(
            Part(item=Item(text="a sleeping animal"), weight=2.0),
            Part(item=Item(text="dog"), weight=-0.7),
        ),
        like=(("pump", 0.3),),
    )
    animal, dog = (
        minilm.embed([Item(text=text)], role=Role.QUERY).unit()[0]
        for text in ("a sleeping animal", "dog")
    )
    wanted = 2 * animal - 0.7 * dog
    wanted += torch.from_numpy(store.rows["pump"].words) * 0.3
    wanted = (wanted / wanted.norm()).numpy()
    np.testing.assert_allclose(composed(store, vectors, asked), wanted, atol=1e-5)


def test_less_of_something(store, vectors):
    plain = search(store, vectors, query("something that sleeps"), None, 0)
    assert set(ids(plain)[:2]) == {"tabby", "dog"}
    less = search(store, vectors, query("something that sleeps", minus="a cat"), None, 0)
    assert ids(less)[0] == "dog"


def test_more_like_an_example_without_the_example(store, vectors):
    hits = search(store, vectors, query(like=(("valve", 1.0),)), None, 0)
    assert ids(hits)[0] == "pump" and "valve" not in ids(hits)
    hits = search(store, vectors, query("animals that sleep", like=(("dog", -1.0),)), None, 0)
    assert ids(hits)[0] == "tabby" and "dog" not in ids(hits)


def test_words_are_searched_as_they_are_written_too(store, vectors):
    found = rankings(store, vectors, query("P-4711"), 5)
    assert list(found) == ["words", "bm25"] and found["bm25"][0][0] == "valve"
    assert ids(search(store, vectors, query("P-4711"), None, 0))[0] == "valve"


def test_ranks_are_fused(store, vectors):
    asked = query("the pump in the cellar")
    found = rankings(store, vectors, asked, 100)
    wanted = {}
    for ranking in found.values():
        for rank, (one, _) in enumerate(ranking, start=1):
            wanted[one] = wanted.get(one, 0) + 1 / (FLAT + rank)
    hits = search(store, vectors, asked, None, 0)
    assert {hit.unit.id: hit.score for hit in hits} == pytest.approx(wanted)
    assert [hit.score for hit in hits] == sorted(wanted.values(), reverse=True)
    assert hits[0].stage == "fused" and hits[0].scores["words"] == dict(found["words"])["pump"]


def test_filters_and_k(store, vectors):
    hits = search(store, vectors, query("pump", where=parse("text~sleeps")), None, 0)
    assert set(ids(hits)) == {"tabby", "dog"}
    assert len(search(store, vectors, query("pump", k=2), None, 0)) == 2
    assert search(store, vectors, query("pump", where=parse("type=pdf")), None, 0) == []


def test_what_cannot_be_meant(store, vectors):
    with pytest.raises(Misuse, match="cancel out"):
        search(store, vectors, query("pump", minus="pump"), None, 0)
    with pytest.raises(Misuse, match="no unit has the id 'nobody'"):
        search(store, vectors, query(like=(("nobody", 1.0),)), None, 0)
    with pytest.raises(Misuse, match="image given to a model that takes text"):
        picture = Part(item=Item(image=Image.new("RGB", (32, 32))))
        search(store, vectors, Query(parts=(picture,)), None, 0)


def test_pictures_and_words_in_one_space(tmp_path):
    from chiasm.ingestion.pictures import stored

    vectors = Vectors(Colours())
    assert vectors.looks and vectors.width == 3
    store = Listed()
    rows = vectors.rows(
        [
            unit(
                "rose",
                title="red rose",
                kind=Kind.IMAGE,
                picture=stored(Image.new("RGB", (32, 32), "red")),
            ),
            unit(
                "leaf",
                title="green leaf",
                kind=Kind.IMAGE,
                picture=stored(Image.new("RGB", (32, 32), "lime")),
            ),
            unit("words", text="red red red"),
        ]
    )
    assert rows[0].picture is not None and rows[2].picture is None
    store.put(rows)
    assert ids(search(store, vectors, query("red"), None, 0))[0] in ("rose", "words")
    found = rankings(store, vectors, query("green"), 5)
    assert found["picture"][0][0] == "leaf"
    shown = Part(item=Item(image=Image.new("RGB", (32, 32), "lime")))
    found = rankings(store, vectors, Query(parts=(shown,)), 5)
    assert found["picture"][0][0] == "leaf" and "bm25" not in found
    like = composed(store, vectors, query(like=(("rose", 1.0),)))
    wanted = rows[0].words + rows[0].picture
    np.testing.assert_allclose(like, wanted / np.linalg.norm(wanted), atol=1e-6)


def test_an_embedder_of_many_vectors(minilm):
    class Letters:
        """A vector a letter."""

        def embed(self, items, *, role, instruction="", task=""):
            if any(item.image is not None for item in items):
                raise Misuse("image given to a model that takes text")
            eye = torch.eye(128)
            return Multi.of([eye[[ord(c) % 128 for c in item.text]] for item in items])

    vectors, store = Vectors(Letters()), Listed()
    assert vectors.many and not vectors.looks
    store.put(vectors.rows([unit("ab", text="ab"), unit("cd", text="cd")]))
    found = rankings(store, vectors, query("dc"), 5)
    assert found["tokens"][0] == ("cd", 2.0)
    with pytest.raises(Misuse, match="takes one part"):
        search(store, vectors, query("a", minus="b"), None, 0)


def test_a_library_finds_what_was_indexed(made, folder):
    library = made()
    index(library, folder)
    hits = library.search(query("what heats the house"))
    assert hits[0].unit.path == "pumps.txt"
    assert library.search(query("hunting in the dark"))[0].unit.title == "black › Black cats"
