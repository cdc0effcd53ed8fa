"""Branch search: what learns when, what the resource loss does, and the data it runs on."""

import pytest
import torch

from chiasm.branching import Branched, Supergraph, Task, Tree
from chiasm.branching.blocks import MOBILENET_V2, Encoder, rows
from chiasm.data.scene_tasks import CLASSES, TaskImages, scene_tasks
from chiasm.errors import Misuse
from chiasm.training.branch_search import (
    BranchSearch,
    branch_search,
    intersection_over_union,
    relative_cost,
    teach,
)

lawful = pytest.mark.evidence(slug="branched-mtl", grade="lawful")
builds = pytest.mark.evidence(slug="branched-mtl", grade="builds")

NAMES = ("shape", "grain")
TASKS = tuple(Task(name=name, classes=CLASSES[name]) for name in NAMES)
TINY = Encoder(side=16, blocks=rows(3, (1, 5, 1, 2), (2, 7, 1, 1)))


@pytest.fixture(scope="module")
def images() -> TaskImages:
    return scene_tasks("train", 20, tasks=NAMES, side=16)


def searched(images: TaskImages, **settings: object) -> tuple[Supergraph, Tree]:
    torch.manual_seed(0)
    graph = Supergraph(TINY, TASKS)
    tree = branch_search(graph, images, BranchSearch(**{"epochs": 2, "batch": 4, **settings}))
    return graph, tree


def test_scenes_are_a_function_of_their_arguments(images: TaskImages) -> None:
    again = scene_tasks("train", 20, tasks=NAMES, side=16)
    other = scene_tasks("test", 20, tasks=NAMES, side=16)
    assert torch.equal(images.images, again.images) and not torch.equal(images.images, other.images)
    assert set(images.labels) == set(NAMES)


def test_labels_fit_each_other_and_the_picture() -> None:
    whole = scene_tasks("train", 7, side=64, contrast=0.0)
    thing = whole.labels["thing"] == 1
    assert torch.equal(thing, whole.labels["shape"] > 0)
    assert torch.equal(thing, whole.labels["color"] > 0)
    assert bool((whole.labels["edge"].bool() <= thing).all())
    for name, classes in CLASSES.items():
        assert int(whole.labels[name].max()) < classes
        assert len(whole.labels[name].unique()) >= min(classes, 3) - 1
    # Grounds are light gray: where colours part, there is a thing.
    spread = whole.images.amax(1) - whole.images.amin(1)
    gray = whole.labels["color"] == 6
    assert float(spread[~thing].mean()) < 0.05 and float(spread[thing & ~gray].mean()) > 0.5


def test_stripes_run_as_they_are_told() -> None:
    plain, striped = (scene_tasks("train", 9, side=16, contrast=c) for c in (0.0, 0.3))
    added = (striped.images - plain.images)[:, 0]
    for stripes, label in zip(added, striped.labels["grain"][:, 0, 0].tolist(), strict=True):
        # Along the stripes nothing changes: down, up the diagonal, across, down the diagonal.
        down, across = [(1, 0), (1, -1), (0, 1), (1, 1)][label]
        moved = torch.roll(stripes, (-down, -across), (0, 1))[1:-1, 1:-1]
        torch.testing.assert_close(moved, stripes[1:-1, 1:-1], atol=1e-5, rtol=0)


@lawful
def test_the_first_epochs_teach_own_copies_and_leave_the_branching(images: TaskImages) -> None:
    graph, _ = searched(images, epochs=2, alone=1.0)
    assert bool((graph.alpha == 0).all())
    shape, grain = (graph.get_parameter(f"blocks.1.{j}.project.weight") for j in (0, 1))
    torch.manual_seed(0)
    before = Supergraph(TINY, TASKS)
    assert not torch.equal(shape, before.get_parameter("blocks.1.0.project.weight"))
    assert not torch.equal(grain, before.get_parameter("blocks.1.1.project.weight"))


@lawful
def test_steps_of_the_branching_leave_weights_and_statistics(
    images: TaskImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chiasm.training import branch_search as module

    plain, seen = module._teach_branching, []

    def watched(graph: Supergraph, *rest: object) -> None:
        state = {k: v.clone() for k, v in graph.state_dict().items()}
        plain(graph, *rest)  # type: ignore[arg-type]
        seen.append({k for k, v in graph.state_dict().items() if not torch.equal(v, state[k])})

    monkeypatch.setattr(module, "_teach_branching", watched)
    graph, _ = searched(images, epochs=2, alone=0.0)
    assert seen == [{"alpha"}] * 2 and all(weight.requires_grad for weight in graph.weights())


@lawful
def test_a_search_is_a_function_of_its_seed(images: TaskImages) -> None:
    one, other = searched(images, alone=0.0), searched(images, alone=0.0)
    assert torch.equal(one[0].alpha, other[0].alpha) and one[1] == other[1]


@lawful
def test_temperatures_run_from_hot_to_cold() -> None:
    settings = BranchSearch(epochs=11)
    assert settings.temperature(0) == 5.0 and settings.temperature(10) == pytest.approx(0.1)
    assert settings.temperature(5) == pytest.approx(2.55)


@lawful
def test_a_large_resource_loss_makes_one_encoder(images: TaskImages) -> None:
    graph, tree = searched(images, epochs=16, alone=0.0, resource=10.0, alpha_rate=0.3, held=0.5)
    assert tree == Tree.shared(2, 2)
    assert float(relative_cost(graph).detach()) < 1.1
    assert float(relative_cost(Supergraph(TINY, TASKS)).detach()) == pytest.approx(1.5, abs=0.3)


@builds
@pytest.mark.parametrize("tree", [Tree.shared(2, 2), Tree.apart(2, 2), Tree(((0, 0), (0, 1)))])
def test_a_tree_learns(images: TaskImages, tree: Tree) -> None:
    torch.manual_seed(0)
    network = Branched(TINY, TASKS, tree)
    before = intersection_over_union(network, TASKS, images)
    teach(network, TASKS, images, BranchSearch(epochs=12, batch=5, rate=1e-2))
    after = intersection_over_union(network, TASKS, images)
    assert set(after) == set(NAMES) and sum(after.values()) > sum(before.values())


@builds
def test_the_papers_encoder_is_counted_without_being_filled() -> None:
    flops = MOBILENET_V2.flops()
    with torch.device("meta"):
        graph = Supergraph(MOBILENET_V2, TASKS * 2)
        [scores, *_] = Branched(MOBILENET_V2, TASKS, Tree.shared(len(flops), 2))(
            torch.empty(1, 3, MOBILENET_V2.side, MOBILENET_V2.side)
        )
    assert len(flops) == 17 and graph.alpha.shape == (17, 4, 4)
    assert scores.shape == (1, 5, MOBILENET_V2.side, MOBILENET_V2.side)


def test_misuse_is_refused() -> None:
    with pytest.raises(Misuse, match="share of"):
        BranchSearch(held=1.0)
    with pytest.raises(Misuse, match="'depth'"):
        scene_tasks("train", 1, tasks=("depth",))
    with pytest.raises(Misuse, match="17"):
        scene_tasks("train", 1, side=17)
