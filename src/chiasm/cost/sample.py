"""Random inputs of the geometry that a count speaks of, to run what was counted."""

from dataclasses import replace

import torch

from chiasm.cost.count import IMAGE
from chiasm.cost.geometry import make_prompt
from chiasm.data.views import stack_views
from chiasm.spec import Answers, Size
from chiasm.stream import Inputs


def sample_inputs(
    answers: Answers,
    *,
    text: int = 64,
    image_size: Size | None = None,
    seed: int = 0,
) -> Inputs:
    """One sample: `text` text rows about one image of random pixels, its placeholders included.

    Raises:
        Misuse: a count out of range.
    """
    prompt = make_prompt(answers, text, None, IMAGE if image_size is None else image_size)
    generator = torch.Generator().manual_seed(seed)
    rows = prompt.rows
    first, held = prompt.first_media_row, prompt.geometry.placeholders
    source = torch.full((1, rows), -1)
    source[:, first : first + held] = prompt.geometry.first_source + torch.arange(held)
    ids = torch.randint(0, answers.host.vocabulary, (1, rows), generator=generator)
    inputs = Inputs(ids=ids, table=prompt.table, source=source)
    views = prompt.geometry.views
    if not views:
        return inputs
    pixels = [torch.randn(3, *view.target, generator=generator) for view in views]
    images, image_valid = stack_views(pixels)
    return replace(
        inputs,
        images=images,
        image_valid=image_valid,
        owners=torch.arange(len(views)).unsqueeze(0),
        memory=prompt.memory,
    )
