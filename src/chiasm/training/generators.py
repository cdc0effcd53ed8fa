"""Where torch's generators of random numbers are."""

import torch
from torch import Tensor


def generators() -> dict[str, Tensor]:
    """The states of the CPU's and of every device's."""
    out = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        out |= {f"cuda:{n}": state for n, state in enumerate(torch.cuda.get_rng_state_all())}
    return out


def set_generators(states: dict[str, Tensor]) -> None:
    """Back to where they were; a device of which nothing was kept is left alone."""
    torch.set_rng_state(states["cpu"])
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for device in range(devices):
        if f"cuda:{device}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{device}"], device)
