"""Sizes of state-space mixers for tests, and transformers' mixer of the same sizes."""

import torch
from torch import nn
from transformers import Mamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

from chiasm.spec.state_space import StateSpace

WIDTH = 15
CASES = {
    "one group": StateSpace(heads=6, head_width=5, state=7, chunk=4),
    "a group a head": StateSpace(heads=3, head_width=10, state=3, groups=3, chunk=5),
    "two groups": StateSpace(heads=10, head_width=3, state=5, groups=2, kernel=3, chunk=16),
    "no bias": StateSpace(heads=2, head_width=15, state=11, kernel=2, kernel_bias=False, chunk=3),
    "steps bounded": StateSpace(heads=5, head_width=6, state=2, chunk=7, step_limit=(0.4, 0.9)),
}


def disturb(module: nn.Module) -> None:
    """Moves every parameter from where it starts, so that none of them is without effect."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.5 if parameter.dim() < 2 else 0.2))


def reference(sizes: StateSpace, width: int = WIDTH) -> Mamba2Mixer:
    """transformers' mixer; its state width is a multiple of the model's."""
    config = Mamba2Config(
        hidden_size=width,
        num_heads=sizes.heads,
        head_dim=sizes.head_width,
        expand=sizes.inner // width,
        state_size=sizes.state,
        n_groups=sizes.groups,
        conv_kernel=sizes.kernel,
        chunk_size=sizes.chunk,
        use_bias=sizes.bias,
        use_conv_bias=sizes.kernel_bias,
        layer_norm_epsilon=sizes.norm_eps,
        time_step_limit=(sizes.step_limit[0], sizes.step_limit[1] or float("inf")),
        num_hidden_layers=1,
        vocab_size=11,
    )
    mixer = Mamba2Mixer(config, layer_idx=0).eval()
    disturb(mixer)
    return mixer


def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' names of a mixer's parameters to ours: the scan's own lie in `scan`."""
    scanned = ("conv1d.", "A_log", "D", "dt_bias")
    return {f"scan.{n}" if n.startswith(scanned) else n: v for n, v in state.items()}
