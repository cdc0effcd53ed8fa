"""Learning at test time: a few steps on a sample itself, then the weights are what they were."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.model import Model


@contextmanager
def adapted(
    model: Model,
    parts: Sequence[str],
    loss: Callable[[Model], Tensor],
    *,
    steps: int = 5,
    learning_rate: float = 1e-4,
) -> Iterator[Model]:
    """The model after `steps` of Adam on `loss`, of the named parts alone; behind the block every
    weight is what it was, bit for bit (OCC-MLLM-Alpha, arXiv 2410.01261).

    `loss` sees the sample and no label: what it is self-supervised by is its own, such as the mean
    square between a picture's tokens and those of another view of the same thing.

    Raises Misuse where the parts hold no parameter.
    """
    taught = [parameter for part in parts for parameter in model.part(part)]
    if not taught:
        raise Misuse(f"this model has no parameter in {', '.join(parts)}; name parts that it has")
    learned = {id(parameter) for parameter in taught}
    before = [parameter.detach().clone() for parameter in taught]
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        for parameter in wanted:
            parameter.requires_grad_(id(parameter) in learned)
        adam = torch.optim.Adam(taught, lr=learning_rate)
        with torch.enable_grad():
            for _ in range(steps):
                adam.zero_grad(set_to_none=True)
                loss(model).backward()
                adam.step()
        yield model
    finally:
        with torch.no_grad():
            for parameter, held in zip(taught, before, strict=True):
                parameter.copy_(held)
        for parameter, asked in wanted.items():
            parameter.grad = None
            parameter.requires_grad_(asked)
