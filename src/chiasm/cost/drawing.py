"""What one step of a drawn picture costs, its prompt being cached."""

from chiasm.cost.bill import FLOPS
from chiasm.cost.geometry import Prompt
from chiasm.model import Model
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality


def picture_step_flops(model: Model, prompt: Prompt) -> int:
    """FLOPs of one step of a flow: latent rows in, through the layers, and their velocity out.

    They read the cached prompt and each other. Where layers draw in turns, the mean over a
    picture's steps. 0 where nothing draws.
    """
    answers = model.answers
    latent, host = answers.head.latent, answers.host
    if latent is None:
        return 0
    rows = {Modality.LATENT: latent.rows}
    counted = LayerRows(rows, rows, rows, rows, pairs=latent.rows * (latent.rows + prompt.rows))
    macs = sum(line.macs for line in answers.head.latent_work(host))
    for layer in range(host.depth):
        work = answers.experts.work(host, layer, counted, f"layer {layer}")
        macs += sum(line.macs for line in work)
    return FLOPS * macs
