"""The card of 123 imp: experts that share out an item's rows, and one task a step."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from tests.embedders.few import (
    COUNT,
    MOST,
    card,
    embedder_or_skip,
    few,
    losses,
    nano,
    parameters,
    shapes,
    taken,
    teacher,
    total,
)
from tests.systems.routing import mixed_layers

from chiasm.errors import Misuse
from chiasm.experts.router import Routing
from chiasm.spec import Scale

SLUG = "imp"
SYSTEM = embedder_or_skip(SLUG)
lawful = card(SLUG)
TASKS = ("text-to-picture", "picture-to-text", "picture-to-view", "text-to-text")


@pytest.fixture(scope="module")
def embedder():
    made = nano(SLUG)
    made.model.eval()
    return made


def contents(count: int):
    tasks = SYSTEM.at("nano").batches.tasks
    return [tasks[0].asks(pair, 0, 0) for pair in few(count)] + [
        tasks[0].holds(pair, 0, 0) for pair in few(count)
    ]


def decided(embedder, items) -> list:
    """(counted rows, routes) of every sparse layer."""
    found: list = []
    model = embedder.model.encoders["item"].model
    hooks = [
        module.register_forward_hook(lambda m, given, routes: found.append((given[2], routes)))
        for module in model.modules()
        if isinstance(module, Routing)
    ]
    with torch.no_grad():
        embedder.model(embedder.given(items))
    for hook in hooks:
        hook.remove()
    return found


@lawful
def test_every_expert_takes_as_many_rows_of_an_item_to_one(embedder):
    """Words and pictures, short and long; the shares of an item add up to its rows."""
    items = contents(3)
    layers = decided(embedder, items)
    assert len(layers) == len(mixed_layers(embedder.model.encoders["item"].model)) == 1
    for counted, routes in layers:
        taken = routes.chosen(len(counted)).unflatten(0, (len(items), -1)).sum(1)
        rows = counted.unflatten(0, (len(items), -1)).sum(1)
        assert torch.equal(taken.sum(1), rows)
        assert bool((taken.amax(1) - taken.amin(1) <= 1).all())
        assert rows.unique().numel() > 1
    assert all(not m.experts["router"].router.penalties for m in mixed_layers(embedder.model))


@lawful
def test_an_items_rows_are_routed_the_same_whatever_stands_beside_it(embedder):
    items = contents(2)
    ((counted, together),) = decided(embedder, items)
    table = together.table(len(counted)).unflatten(0, (len(items), -1))
    for at, item in enumerate(items):
        ((own, alone),) = decided(embedder, [item])
        count = int(own.sum())
        torch.testing.assert_close(
            table[at][counted.unflatten(0, (len(items), -1))[at]],
            alone.table(len(own))[own],
            atol=1e-5,
            rtol=0,
        )
        assert count > 4


@lawful
def test_a_step_is_of_one_task_and_there_are_as_many_signatures(tmp_path):
    """Over some steps every task has its turn; a step's queries are all of one kind."""
    made = nano(SLUG)
    own = teacher(made, tmp_path, MOST)
    stage = replace(SYSTEM.at("nano").teaching.stages[0], batch=4)
    signatures: set = set()
    for batch in islice(own._batches(0, stage, 0, None), 16):
        kinds = {
            (
                tuple(part.modality for part in query.parts),
                tuple(part.modality for part in document.parts),
                query.task,
            )
            for query, document in zip(batch.queries, batch.documents, strict=True)
        }
        assert len(kinds) == 1
        signatures |= kinds
    assert len(signatures) == len(TASKS)
    assert tuple(task.name for task in SYSTEM.at("paper").batches.tasks) == TASKS


@lawful
@pytest.mark.parametrize(
    ("task", "untouched"),
    [("text-to-text", "connector.projection"), ("picture-to-view", None)],
)
def test_a_task_leaves_what_is_the_other_modalitys_as_it_is(task, untouched, tmp_path):
    made = nano(SLUG)
    number = TASKS.index(task)
    asked = SYSTEM.at("nano").batches.tasks[number]
    queries = [asked.asks(pair, 0, number) for pair in few(3)]
    documents = [asked.holds(pair, 0, number) for pair in few(3)]
    batch = next(teacher(made, tmp_path)._batches(0, SYSTEM.at("nano").teaching.stages[0], 0, None))
    few_targets = torch.eye(3, dtype=batch.targets.dtype)
    one = replace(
        batch,
        queries=queries,
        documents=documents,
        targets=few_targets,
        groups=torch.arange(3),
        kinds=torch.ones(3, dtype=torch.long),
        about=torch.zeros(3, dtype=torch.long),
        ids=[pair.id for pair in few(3)],
    )
    total(made, one).backward()
    model = made.model.encoders["item"].model
    gradients = {name: p.grad for name, p in model.named_parameters()}
    idle = {name for name, g in gradients.items() if g is None or not bool(g.any())}
    if untouched is not None:
        assert any(untouched in name for name in idle)
        assert not any("embed_tokens" in name for name in idle)
        return
    words = gradients["decoder.embed_tokens.weight"]
    assert int(words.any(1).sum()) <= 1, "the marker alone is a word"
    assert not any(own in name for name in idle for own in ("projection", "places"))


@lawful
def test_classes_are_told_of_both_sides(tmp_path):
    """By hand; and a class beyond the classifier's is refused."""
    made = nano(SLUG)
    batch = taken(made, tmp_path)
    read = [made.model(made.given(side)) for side in (batch.queries, batch.documents)]
    head = made.model.judge.terms["classes"].classify
    expected = sum(
        -head(side.embedding.vectors).log_softmax(-1)[torch.arange(COUNT), batch.groups].mean()
        for side in read
    )
    torch.testing.assert_close(losses(made, batch)["classes"], expected / 2)
    beyond = replace(batch, groups=batch.groups + 4096)
    with pytest.raises(Misuse, match="of a classifier of 4096; state more classes"):
        losses(made, beyond)


@lawful
def test_published_sizes():
    """Twelve layers of 16 experts of 2 x 1024 x 4096, biases left out, in 24 layers of ViT-L."""
    names = {n: size for n, size in shapes(SLUG, Scale.PAPER).items() if ".mlp." in n}
    experts = 12 * 16 * 2 * 1024 * 4096
    mixed = sum(size for name, size in names.items() if size >= 16 * 1024 * 4096)
    assert mixed == experts == 1_610_612_736
    assert parameters(SLUG, Scale.PAPER) > experts + 12 * 12 * 1024**2
