"""A load borne: the prompt and a cached step, or a step of teaching."""

import inspect
from itertools import islice

import torch

from chiasm.cost.load import Load
from chiasm.decoding.generate import steps
from chiasm.model import Model
from chiasm.stream import Inputs
from chiasm.training.freezing import freeze
from chiasm.training.optimiser import clip, optimiser
from chiasm.training.precision import autocast


def bear(model: Model, load: Load, inputs: Inputs) -> None:
    """Runs a load: the prompt and the first cached step, or a step of teaching."""
    if load.stage is None:
        model.eval().requires_grad_(False)
        with torch.no_grad():
            # Without inference mode, in which tensors without values cannot be made.
            answering = inspect.unwrap(steps)(model, inputs, max_new=load.new)
            for _ in islice(answering, 2):
                pass
        return
    freeze(model, load.stage.trained)
    adam = optimiser(model, load.stage)
    # Moments are there from the second step on, which is the one that counts.
    for group in adam.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    adam.step()
    adam.zero_grad(set_to_none=True)
    with autocast(load.dtype, model.device):
        taught = model.losses(inputs)
    taught.total.backward()
    clip(adam, load.stage.clip)
    adam.step()
