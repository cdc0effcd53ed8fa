"""A super-network taught so that its sub-networks work: one of them learns in every step."""

from collections.abc import Callable, Iterable
from random import Random

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chiasm.elastic import Genome, Space, shared, skeleton
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec import Stage
from chiasm.stream import Inputs
from chiasm.training.freezing import freeze
from chiasm.training.optimiser import clip, optimiser, set_rate


def teach_elastic(
    model: Model,
    space: Space,
    batches: Iterable[Inputs],
    steps: int,
    *,
    stage: Stage,
    distil: float = 1.0,
    seed: int = 0,
    tell: Callable[[int, float, float], object] = lambda step, whole, part: None,
) -> None:
    """Each step minimises, with a genome drawn evenly,

        task(whole) + (task(part) + distil KL(whole || part)) / 2,

    where the whole teaches without learning from it (in-place distillation, arXiv 1903.05134). The
    part runs on the whole's own weights, so that both move the same tensors.
    """
    if steps < 1:
        raise Misuse(f"{steps} steps teach nothing; give at least 1")
    draw = Random(seed)
    freeze(model, stage.trained)
    model.train()
    adam = optimiser(model, stage)
    for step, inputs in zip(range(steps), batches, strict=False):
        set_rate(adam, stage, step / steps)
        adam.zero_grad(set_to_none=True)
        whole, part = elastic_losses(model, space, space.random(draw), inputs, distil)
        (whole + part / 2).backward()
        clip(adam, stage.clip)
        adam.step()
        tell(step, float(whole.detach()), float(part.detach()))


def elastic_losses(
    model: Model, space: Space, genome: Genome, inputs: Inputs, distil: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The super-network's loss, and its sub-network's: the task's and what it should imitate."""
    if inputs.labels is None:
        raise Misuse("these inputs carry no labels; give batches that teach")
    taught = inputs.labels >= 0
    judge = model.answers.teaching.objective.judge
    said = model(inputs)[taught]
    own = shared(model, skeleton(model, space, genome), inputs)[taught]
    wanted = said.detach().log_softmax(-1)
    imitated = F.kl_div(own.log_softmax(-1), wanted, log_target=True, reduction="batchmean")
    labels = inputs.labels[taught]
    return judge(said, labels, None), judge(own, labels, None) + distil * imitated


@torch.no_grad()
def answered(model: Model, batches: Iterable[Inputs]) -> float:
    """Share of samples whose taught rows are all said right: greedy answers, read in one pass."""
    right = count = 0
    for inputs in batches:
        assert inputs.labels is not None
        # Row t says what row t's label holds, which is the id behind it.
        wrong = (model(inputs).argmax(-1) != inputs.labels) & (inputs.labels >= 0)
        right += int((~wrong.any(1)).sum())
        count += len(inputs.labels)
    return right / count
