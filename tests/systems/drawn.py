"""What tests of drawing systems share: batches with noise of their own choosing, and drawing."""

from collections.abc import Sequence

import torch
from tests.tiny import Drawn, Sample, batch, said
from torch import Tensor

from chiasm.drawing import Drafted, drafted
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.stream import Inputs, Role

ASKED: Sample = (said(3, 1), said(1, 2, Role.TAG), Drawn(1))
"""A prompt, and the picture it asks for."""


def noised(
    answers: Answers, samples: Sequence[Sample], *, time: float | Sequence[float], seed: int = 0
) -> Drafted:
    """The samples' drafts at a time (one for all, or one a picture), with seeded noise."""
    inputs = batch(answers, samples)
    assert inputs.latents is not None and answers.head.latent is not None
    pictures = inputs.latents.shape[1] // answers.head.latent.rows
    times = torch.tensor(time).expand(len(samples), pictures)
    noise = torch.randn(inputs.latents.shape, generator=torch.Generator().manual_seed(seed))
    flow = answers.teaching.objective.flow
    return drafted(inputs, flow, answers.head.latent.rows, time=times, noise=noise)


def velocities(model: Model, made: Drafted) -> Tensor:
    """What the model says of every draft row."""
    return model.velocity(model.hidden(made.inputs)[made.rows])


def flow_loss(model: Model, made: Drafted) -> Tensor:
    """The flow's loss alone."""
    objective = model.answers.teaching.objective
    return objective.judge_velocity(velocities(model, made), made.velocity[made.rows])


def without_drafts(inputs: Inputs) -> Tensor:
    """True for the real rows that are no draft."""
    return inputs.table.valid & (inputs.table.role != int(Role.DRAFT))
