"""Which tasks share which layers, searched while they learn (BMTAS, arXiv 2008.10292)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.branching import Supergraph, Tree, expected_cost
from chiasm.branching.blocks import Task
from chiasm.data.scene_tasks import TaskImages
from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class BranchSearch:
    """Bilevel: in every epoch the weights learn from most pictures, then the branching from the
    others, by

        sum over tasks of weight x loss + resource x expected FLOPs / FLOPs of one shared encoder
    """

    resource: float = 0.05
    epochs: int = 160
    batch: int = 16
    held: float = 0.2
    """Share of the pictures by which the branching learns."""
    alone: float = 0.05
    """Share of the epochs, the first, in which every task uses its own copies."""
    hot: float = 5.0
    cold: float = 0.1
    """Temperatures of the draws at the start and at the end."""
    rate: float = 1e-3
    decay: float = 1e-4
    alpha_rate: float = 1e-2
    alpha_decay: float = 5e-5

    def __post_init__(self) -> None:
        if not 0 < self.held < 1:
            raise Misuse(f"a share of {self.held} cannot be held; give one between 0 and 1")
        if self.epochs < 1 or self.batch < 2:
            raise Misuse(
                f"{self.epochs} epochs in batches of {self.batch} teach nothing; give at least 1 "
                "and 2"
            )

    def temperature(self, epoch: int) -> float:
        """Linear from hot to cold."""
        return self.hot + (self.cold - self.hot) * epoch / max(self.epochs - 1, 1)


def branch_search(
    supergraph: Supergraph,
    images: TaskImages,
    settings: BranchSearch,
    *,
    seed: int = 0,
    tell: Callable[[int, Tree], object] = lambda epoch, tree: None,
) -> Tree:
    """The tree of the likeliest branches after the search; all draws are `seed`'s."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    apart = round(len(images) * settings.held)
    held, taught = images.at(order[:apart]), images.at(order[apart:])
    alone = round(settings.alone * settings.epochs)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for epoch in range(settings.epochs):
            heat = settings.temperature(epoch)
            # Moments of one phase say nothing of the next, so optimisers start anew.
            adam = torch.optim.Adam(
                supergraph.weights(), settings.rate, weight_decay=settings.decay
            )
            for batch in _batches(taught, settings.batch, generator):
                mixing = supergraph.own() if epoch < alone else supergraph.draw(heat).detach()
                _step(adam, task_loss(supergraph(batch.images, mixing), batch, supergraph.tasks))
            if epoch >= alone:
                _teach_branching(supergraph, held, settings, heat, generator)
            tell(epoch, Tree.of(supergraph.alpha))
    return Tree.of(supergraph.alpha)


def _teach_branching(
    supergraph: Supergraph,
    held: TaskImages,
    settings: BranchSearch,
    heat: float,
    generator: torch.Generator,
) -> None:
    """One pass over the held pictures that moves alpha alone; norms go by the batch, and forget."""
    adam = torch.optim.Adam(
        [supergraph.alpha], settings.alpha_rate, weight_decay=settings.alpha_decay
    )
    weights = supergraph.weights()
    kept = {name: value.clone() for name, value in supergraph.named_buffers()}
    for weight in weights:
        weight.requires_grad_(False)
    for batch in _batches(held, settings.batch, generator):
        scores = supergraph(batch.images, supergraph.draw(heat))
        loss = task_loss(scores, batch, supergraph.tasks)
        _step(adam, loss + settings.resource * relative_cost(supergraph))
    for weight in weights:
        weight.requires_grad_(True)
    for name, value in supergraph.named_buffers():
        value.copy_(kept[name])


def relative_cost(supergraph: Supergraph) -> Float[Tensor, ""]:
    """Expected FLOPs over those of one shared encoder: 1 to the number of tasks."""
    flops = torch.tensor(supergraph.encoder.flops()).to(supergraph.alpha)
    return expected_cost(supergraph.alpha.softmax(-1), flops / flops.sum())


def task_loss(
    scores: list[Float[Tensor, "batch class_ side side"]],
    batch: TaskImages,
    tasks: tuple[Task, ...],
) -> Float[Tensor, ""]:
    """Weighted sum of the tasks' cross-entropies, each a mean over pixels."""
    losses = [
        task.weight * F.cross_entropy(own, batch.labels[task.name])
        for own, task in zip(scores, tasks, strict=True)
    ]
    return torch.stack(losses).sum()


def teach(
    model: nn.Module,
    tasks: tuple[Task, ...],
    images: TaskImages,
    settings: BranchSearch,
    *,
    seed: int = 0,
) -> None:
    """Teach a branched network as its supergraph was taught: one phase, all pictures."""
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(model.parameters(), settings.rate, weight_decay=settings.decay)
    model.train()
    for epoch in range(settings.epochs):
        for group in adam.param_groups:
            group["lr"] = settings.rate * (1 - epoch / settings.epochs) ** 0.9
        for batch in _batches(images, settings.batch, generator):
            _step(adam, task_loss(model(batch.images), batch, tasks))


@torch.no_grad()
def intersection_over_union(
    model: nn.Module, tasks: tuple[Task, ...], images: TaskImages, batch: int = 64
) -> dict[str, float]:
    """Of every task, the mean over its classes of right / (said or true) over all pixels."""
    model.eval()
    counts = {task.name: torch.zeros(task.classes, task.classes) for task in tasks}
    for part in torch.arange(len(images)).split(batch):
        shown = images.at(part)
        for task, scores in zip(tasks, model(shown.images), strict=True):
            pairs = shown.labels[task.name] * task.classes + scores.argmax(1)
            found = pairs.flatten().bincount(minlength=task.classes**2)
            counts[task.name] += found.view(task.classes, task.classes)
    return {
        name: float((m.diagonal() / (m.sum(0) + m.sum(1) - m.diagonal()).clamp_min(1)).mean())
        for name, m in counts.items()
    }


def _batches(images: TaskImages, size: int, generator: torch.Generator) -> Iterator[TaskImages]:
    """All pictures in a drawn order; what is left of a last batch waits for another epoch."""
    order = torch.randperm(len(images), generator=generator)
    for part in order.split(size):
        if len(part) == size:
            yield images.at(part)


def _step(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
