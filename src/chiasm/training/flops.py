"""Floating-point operations of a training step, counted by torch on the step itself."""

import copy

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from chiasm.model import Model
from chiasm.training.prefetch import Window


def step_flops(model: Model, window: Window) -> int:
    """FLOPs (1 MAC = 2 FLOPs) of one forward and backward pass over the window.

    Counts what runs, on a copy that is thrown away: frozen parts make no weight gradients, so they
    cost less. Attention counts every pair of a dense mask, whatever kernel runs it.
    """
    trial = copy.deepcopy(model).to("cpu")
    with sdpa_kernel([SDPBackend.MATH]), FlopCounterMode(display=False) as counter:
        for piece in window.pieces:
            trial.loss(piece, total=window.labels, drafts=window.drafts).backward()
    return counter.get_total_flops()
