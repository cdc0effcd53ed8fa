"""Law: the plan changes the work, never the result. Planned equals masked-dense."""

from dataclasses import replace

import pytest
from tests.tiny import (
    batch,
    close,
    close_gradients,
    every,
    fresh,
    gradients,
    ragged,
    real,
    shared_model,
    tiny,
)

from chiasm.backbone import Execution
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.stream import Inputs


def dense_loss(model: Model, inputs: Inputs):
    hidden = model.hidden(inputs, execution=Execution.MASKED)
    taught = inputs.labels >= 0
    return model.answers.teaching.objective.judge(
        model.scores(hidden[taught]), inputs.labels[taught]
    )


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("slug", every())
def test_planned_equals_masked_in_values(slug, side):
    model = shared_model(slug)
    inputs = batch(tiny(slug), ragged(), side=side)
    planned, masked = model(inputs), model(inputs, execution=Execution.MASKED)
    rows = real(inputs)
    close(planned[rows], masked[rows], 1e-5)


@pytest.mark.parametrize("slug", every())
def test_planned_equals_masked_in_gradients(slug):
    inputs = batch(tiny(slug), ragged())
    planned, masked = fresh(tiny(slug)), fresh(tiny(slug))
    planned.losses(inputs).main.backward()
    dense_loss(masked, inputs).backward()
    close_gradients(gradients(planned), gradients(masked), 1e-5)


def with_extras(answers: Answers) -> Answers:
    """All a Llama-family host may have besides: biases, norms of queries and keys, windows."""
    host = replace(
        answers.host,
        query_key_value_bias=True,
        output_bias=True,
        mlp_bias=True,
        query_key_norm=True,
        windows=(None, 5, None),
    )
    return replace(answers, host=host)


@pytest.mark.parametrize("slug", every(lambda answers: answers.host.mixer is None))
def test_planned_equals_masked_with_biases_norms_and_windows(slug):
    model = fresh(with_extras(tiny(slug)))
    inputs = batch(tiny(slug), ragged())
    rows = real(inputs)
    close(model(inputs)[rows], model(inputs, execution=Execution.MASKED)[rows], 1e-5)
