"""Cards of adapters of frozen dual encoders."""

from dataclasses import replace

import pytest
import torch
from tests.embedders.few import card, few, nano, parameters, shared, taken, total
from torch.nn.functional import normalize

from chiasm.embedders.batches import PICTURE_TO_TEXT
from chiasm.embedders.frozen import Kept
from chiasm.embedders.stages import AtLayer, ComparedBeside, ReadTogether
from chiasm.embedders.states import States
from chiasm.embedders.teaching import freeze, round_losses
from chiasm.errors import Misuse
from chiasm.layers import merge_heads, split_heads
from chiasm.layers.attention import attend_slowly
from chiasm.retrieval.embedding import Multi, Single
from chiasm.stream import Modality


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def beside(blend: float = 0.2):
    """A score that was moved off its start."""
    score = ComparedBeside(width=11, narrow=6, heads=2, blend=blend).build()
    with torch.no_grad():
        score.up.weight.copy_(drawn(11, 6, seed=1))
    return score


def beside_slowly(score, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """Every query with all documents as one sequence."""
    held, rows = normalize(documents, dim=-1), []
    for query in normalize(queries, dim=-1):
        x = torch.cat([held, query[None]]).unsqueeze(0)
        y = score.down(x)
        q, k, v = (split_heads(f(y), 2) for f in (score.mix.q, score.mix.k, score.mix.v))
        among = torch.ones(1, x.shape[1], x.shape[1], dtype=torch.bool)
        read = score.up(score.mix.o(merge_heads(attend_slowly(q, k, v, among))))
        blend = score.config.blend
        (found,) = normalize((1 - blend) * x + blend * read, dim=-1)
        rows.append(found[:-1] @ found[-1])
    return torch.stack(rows)


@card("mm-adapter")
@pytest.mark.parametrize(("asked", "held"), [(3, 5), (1, 7), (5, 1)])
def test_one_softmax_for_all_queries_equals_a_sequence_a_query(asked, held, monkeypatch):
    score = beside()
    vectors = [drawn(asked, 11, seed=2), drawn(held, 11, seed=3)]
    gradients = []
    for few_at_once in (False, True):
        if few_at_once:
            monkeypatch.setattr("chiasm.embedders.stages.compared_beside.MOST", held * 11)
        for slow in (False, True):
            queries, documents = (v.clone().requires_grad_() for v in vectors)
            found = (
                beside_slowly(score, queries, documents)
                if slow
                else score(Single(vectors=queries), Single(vectors=documents))
            )
            every = [queries, documents, *score.parameters()]
            weights = drawn(asked, held, seed=4)
            gradients.append([found, *torch.autograd.grad((found * weights).sum(), every)])
    for other in gradients[1:]:
        for one, same in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(one, same, rtol=1e-4, atol=1e-5)


@card("mm-adapter")
def test_without_a_blend_and_at_the_start_it_is_the_cosine():
    queries, documents = Single(vectors=drawn(3, 11)), Single(vectors=drawn(5, 11, seed=1))
    plain = queries.unit() @ documents.unit().T
    fresh = ComparedBeside(width=11, narrow=6, heads=2).build()
    torch.testing.assert_close(fresh(queries, documents), plain)
    torch.testing.assert_close(beside(blend=0.0)(queries, documents), plain, rtol=0, atol=1e-6)
    assert not torch.allclose(beside()(queries, documents), plain, atol=1e-3)


@card("mm-adapter")
def test_classes_may_be_permuted_and_of_any_number_and_pictures_do_not_meet():
    embedder = shared("mm-adapter")
    with torch.no_grad():
        embedder.model.score.up.weight.mul_(50)
    pictures = embedder.embed_contents([PICTURE_TO_TEXT.asks(pair, 0, 0) for pair in few()])
    names = embedder.embed_contents([PICTURE_TO_TEXT.holds(pair, 0, 0) for pair in few()])
    scores = embedder.model.scores(pictures, names)
    order = torch.tensor([2, 0, 4, 1, 3])
    turned = embedder.model.scores(pictures, Single(vectors=names.vectors[order]))
    torch.testing.assert_close(turned, scores[:, order])
    alone = embedder.model.scores(Single(vectors=pictures.vectors[1:2]), names)
    torch.testing.assert_close(alone, scores[1:2])
    fewer = embedder.model.scores(pictures, Single(vectors=names.vectors[:3]))
    assert fewer.shape == (5, 3)
    assert not torch.allclose(fewer, scores[:, :3], atol=1e-5)  # classes read one another


@card("mm-adapter")
def test_the_adapter_alone_learns_and_its_size_is_free_of_classes(tmp_path):
    assert parameters("mm-adapter", "paper", "score") == 2 * 512 * 128 + 4 * 128**2 == 196_608
    assert parameters("mm-adapter", "paper") == 149_620_736 + 196_608
    embedder = nano("mm-adapter")
    freeze(embedder.model, ("score",))
    taught = {name for name, p in embedder.model.named_parameters() if p.requires_grad}
    assert taught == {f"score.{n}" for n, _ in embedder.model.score.named_parameters()}
    total(embedder, taken(embedder, tmp_path)).backward()
    assert embedder.model.score.up.weight.grad.abs().sum() > 0


def many(*sizes: int, modality: Modality, width: int = 8, seed: int = 0) -> Multi:
    """Items of these numbers of tokens."""
    return Multi.of([drawn(n, width, seed=seed + n) for n in sizes], int(modality))


def together_slowly(score, words: Multi, pictures: Multi) -> torch.Tensor:
    """Every pair for itself, without padding."""
    rows = []
    for text, real in zip(words.vectors, words.valid, strict=True):
        own = text[real]
        row = []
        for picture, seen in zip(pictures.vectors, pictures.valid, strict=True):
            fused = score.fuse(torch.cat([picture[seen], own]).unsqueeze(0))
            (read,) = score.read(score.query.view(1, 1, -1), fused)[0]
            row.append(torch.stack([read @ word for word in own[1:-1]]).mean())
        rows.append(torch.stack(row))
    return torch.stack(rows)


@card("cola")
def test_padding_and_who_asks_change_no_score(monkeypatch):
    score = ReadTogether(width=8, heads=2, ff_width=11).build()
    words = many(3, 5, 7, modality=Modality.TEXT)
    pictures = many(4, 2, modality=Modality.IMAGE, seed=20)
    slow = together_slowly(score, words, pictures)
    parameters_of = [*score.parameters()]
    expected = torch.autograd.grad(slow.square().sum(), parameters_of, retain_graph=True)
    for most in (2**22, 11 * 8 * 2):
        monkeypatch.setattr("chiasm.embedders.stages.read_together.MOST", most)
        found = score(words, pictures)
        torch.testing.assert_close(found, slow, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(score(pictures, words), found.T)
        gradients = torch.autograd.grad(found.square().sum(), parameters_of)
        for one, same in zip(gradients, expected, strict=True):
            torch.testing.assert_close(one, same, rtol=1e-3, atol=1e-4)
    with pytest.raises(Misuse, match="of one kind"):
        score(words, words)
    with pytest.raises(Misuse, match="many vectors"):
        score(words, Single(vectors=drawn(2, 8)))


@card("cola")
def test_the_order_of_patches_changes_no_score_and_the_order_of_words_does():
    score = ReadTogether(width=8, heads=2, ff_width=11).build()
    words, pictures = many(5, modality=Modality.TEXT), many(7, modality=Modality.IMAGE)
    plain = score(words, pictures)
    turned = replace(pictures, vectors=pictures.vectors.flip(1))
    torch.testing.assert_close(score(words, turned), plain)
    ends = replace(words, vectors=words.vectors.roll(1, 1))  # other words open and close it
    assert not torch.allclose(score(ends, pictures), plain, atol=1e-4)


@card("cola")
def test_the_adapter_holds_7752704_parameters_and_reads_every_pair_of_kept_states(tmp_path):
    taught = parameters("cola", "paper", "score") + parameters("cola", "paper", "image.head")
    assert taught == 7_752_704
    assert parameters("cola", "paper", "text.head") == 0
    embedder = nano("cola")
    freeze(embedder.model, ("image.head", "score"))
    batch, kept, passed = taken(embedder, tmp_path), Kept(embedder), []
    embedder.model.score.fuse.register_forward_hook(lambda m, a, out: passed.append(len(out)))
    embedder.model.eval()
    found = [round_losses(embedder, batch, one)["contrast"].item() for one in (None, kept, kept)]
    assert found[0] == pytest.approx(found[1], abs=1e-4) and found[1] == found[2]
    assert len(kept.held) == 10 and passed == [25, 25, 25]


@card("cola")
def test_states_are_read_at_the_layer_that_is_asked_for():
    layers = tuple(drawn(2, 3, 5, seed=n) for n in range(4))
    states = replace(States.all_of(drawn(2, 3, 5), int(Modality.TEXT)), layers=layers)
    reduce = AtLayer(layer=-2).build(5)
    assert torch.equal(reduce(states).tokens, layers[2])
    with pytest.raises(Misuse, match="its last layer alone"):
        reduce(replace(states, layers=()))


@card("cola")
def test_swapped_attributes_are_told_apart_by_the_adapter_and_by_no_head_on_pictures():
    """Pictures of two objects, each a bound token; texts of the same words in two orders. A pair
    counts where both pictures score their own text higher: chance is 25%.
    """
    width = 16
    colours, shapes = drawn(2, width, seed=1), drawn(2, width, seed=2)
    bound, places = drawn(2, 2, width, seed=3), drawn(6, width, seed=4)
    said = [
        torch.stack([places[0], colours[a], shapes[0], colours[1 - a], shapes[1], places[5]])
        for a in (0, 1)
    ]
    seen = [torch.stack([bound[a, 0], bound[1 - a, 1]]) for a in (0, 1)]
    words = Multi.of([text + places for text in said], int(Modality.TEXT))

    def pictures(count: int, seed: int) -> Multi:
        drawn_at = [seen[n % 2] + 0.3 * drawn(2, width, seed=seed + n) for n in range(count)]
        return Multi.of(drawn_at, int(Modality.IMAGE))

    torch.manual_seed(0)
    fused = ReadTogether(width=width, heads=2, ff_width=32).build()
    head = torch.nn.Linear(width, width)
    inner = words.vectors[:, 1:-1].mean(1)

    def alone(texts: Multi, shown: Multi) -> torch.Tensor:
        return inner @ head(shown.vectors.mean(1)).T

    found = []
    for module, score in ((fused, fused), (head, alone)):
        adam = torch.optim.AdamW(module.parameters(), lr=3e-3)
        for step in range(60):
            adam.zero_grad()
            logits = score(words, pictures(16, 100 * step)).T / 4
            torch.nn.functional.cross_entropy(logits, torch.arange(16) % 2).backward()
            adam.step()
        with torch.no_grad():
            margin = score(words, pictures(40, 10_000))
        own = (margin[0] - margin[1]) * torch.tensor([1.0, -1.0]).repeat(20)
        found.append(float((own.view(20, 2) > 1e-4).all(-1).float().mean()))
    assert found[0] > 0.9 and found[1] <= 0.25
