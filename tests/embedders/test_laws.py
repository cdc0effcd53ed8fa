"""Laws of embedders: who learns, what a companion changes, what a folder keeps."""

import pytest
import torch
from tests.embedders.few import (
    every,
    few,
    losses,
    nano,
    parameters,
    shapes,
    shared,
    taken,
    total,
)

from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE
from chiasm.embedders.folder import open_folder, save
from chiasm.embedders.model import learns, part_of
from chiasm.embedders.teaching import freeze
from chiasm.retrieval.embedding import Distribution, Multi, take
from chiasm.spec import Scale
from chiasm.spec.embedder import registered_embedders

BUILT = [
    pytest.param(slug, id=slug, marks=[pytest.mark.evidence(slug=slug, grade="builds")])
    for slug in registered_embedders()
]


def numbers(embedding) -> torch.Tensor:
    """All that an embedding holds, padding zero."""
    if isinstance(embedding, Distribution):
        return torch.cat([embedding.mean, embedding.log_sigma], -1)
    if isinstance(embedding, Multi):
        return embedding.vectors * embedding.valid.unsqueeze(-1)
    return embedding.vectors


def contents(embedder, count=3):
    """Queries and documents of the embedder's own tasks."""
    tasks = embedder.model.answers.batches.tasks
    return [
        made(pair, 0, number)
        for number, task in enumerate(tasks)
        for pair in few(count)
        for made in (task.asks, task.holds)
    ]


@pytest.mark.parametrize("slug", BUILT)
def test_builds_at_three_scales_and_steps_lower_the_loss(slug, tmp_path):
    for scale in (Scale.SMOL, Scale.PAPER):
        assert parameters(slug, scale) > 10**6
    embedder = nano(slug)
    embedder.model.train()
    batch = taken(embedder, tmp_path)
    adam = torch.optim.AdamW(embedder.model.parameters(), lr=3e-4)
    found = []
    for _ in range(3):
        adam.zero_grad()
        loss = total(embedder, batch)
        loss.backward()
        adam.step()
        found.append(loss.item())
    assert total(embedder, batch).item() < found[0]


@pytest.mark.parametrize("slug", every())
def test_what_a_stage_teaches_moves_and_the_rest_is_bit_identical(slug, tmp_path):
    for number, stage in enumerate(registered_embedders()[slug].at("nano").teaching.stages):
        embedder = nano(slug)
        model = embedder.model.train()
        batch = taken(embedder, tmp_path, number)
        freeze(model, stage.trained)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        received: set[str] = set()
        for _ in range(3):
            adam.zero_grad()
            total(embedder, batch).backward()
            received |= {
                name
                for name, p in model.named_parameters()
                if p.grad is not None and bool((p.grad != 0).any())
            }
            adam.step()
        for name, parameter in model.named_parameters():
            if learns(name, stage.trained):
                assert name in received, f"{name} received no gradient"
                assert not torch.equal(before[name], parameter)
            else:
                assert parameter.grad is None and torch.equal(before[name], parameter), name
        still = [n for n in model.state_dict() if not learns(n, stage.trained)]
        assert all(torch.equal(before[name], model.state_dict()[name]) for name in still)


@pytest.mark.parametrize("slug", every())
def test_every_stage_names_parts_that_there_are(slug):
    system = registered_embedders()[slug]
    for scale in Scale:
        names = shapes(slug, scale)
        for stage in system.at(scale).teaching.stages:
            assert any(learns(name, stage.trained) for name in names), (scale, stage.name)
            parts = {part_of(name) for name in names}
            unknown = [
                one
                for one in stage.trained
                if not any(part == one or part.startswith(f"{one}.") for part in parts)
            ]
            assert set(unknown) <= {"fusion", "output", "score", "text.head", "image.head"}, unknown


@pytest.mark.parametrize("slug", every())
def test_batched_equals_single(slug):
    """Texts of other lengths and items of other modalities beside it change nothing."""
    embedder = shared(slug)
    every_content = contents(embedder, 3)
    with torch.no_grad():
        together = numbers(embedder.model(embedder.given(every_content)).embedding)
        for place in (0, 3, len(every_content) - 1):
            alone = numbers(embedder.model(embedder.given([every_content[place]])).embedding)[0]
            beside = together[place]
            if alone.dim() == 2:
                alone, beside = (rows[rows.abs().sum(-1) > 0] for rows in (alone, beside))
            torch.testing.assert_close(beside, alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("slug", every())
def test_saved_and_opened_is_exact(slug, tmp_path):
    embedder = shared(slug)
    folder = save(embedder, tmp_path / "kept", slug=slug, scale="nano", extra={"steps": 3})
    opened = open_folder(folder)
    assert (opened.slug, opened.scale, opened.extra) == (slug, "nano", {"steps": 3})
    assert opened.embedder.model.answers == embedder.model.answers
    same = [numbers(one.embed_contents(contents(one))) for one in (embedder, opened.embedder)]
    assert torch.equal(*same)


@pytest.mark.parametrize("slug", every())
def test_scores_are_of_pairs_alone(slug):
    """A query's score of a document depends on neither their companions nor their order; on other
    documents only where the score says that it reads them all.
    """
    embedder = shared(slug)
    for task in (TEXT_TO_PICTURE, PICTURE_TO_TEXT):
        queries = embedder.embed_contents([task.asks(pair, 0, 0) for pair in few()])
        documents = embedder.embed_contents([task.holds(pair, 0, 0) for pair in few()])
        scores = embedder.model.scores(queries, documents)
        order = torch.tensor([3, 1, 4])
        if not isinstance(queries, Distribution):  # whose draws follow their place
            if embedder.model.answers.score.reads_all:
                order = torch.tensor([3, 1, 4, 0, 2])
            some = embedder.model.scores(take(queries, order[:3]), take(documents, order))
            torch.testing.assert_close(some, scores[order[:3]][:, order], rtol=0, atol=1e-4)
        assert bool(scores.isfinite().all())


@pytest.mark.parametrize("slug", every())
def test_the_same_seed_draws_the_same_weights(slug, tmp_path):
    one, same, other = (nano(slug, seed).model.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert losses(nano(slug), taken(nano(slug), tmp_path))
