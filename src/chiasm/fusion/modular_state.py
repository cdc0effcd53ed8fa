"""Modalities change one state in turn, behind the host's last layer; a missing one is skipped."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.seen_mean import seen_mean
from chiasm.layers.states import StateSteps, mean_change
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear

PLACE = "modular state"
STEPS = 2
"""The picture, then the words."""


@dataclass(frozen=True, kw_only=True)
class ModularState(AsMemory):
    """s_0 learned, s_1 = E_v([v; s_0]), s_2 = E_t([h; s_1]) (MultiModN, arXiv 2309.14118).

    v is the mean of the picture's tokens that a row may see, h its final hidden state; a row that
    sees no picture keeps s_0. A head reads `[s_0, s_1, s_2, there]`, `there` one where a modality
    was. `change` weighs the mean square of the changes among the losses.
    """

    state: int = 50
    hidden: int = 32
    dropout: float = 0.2
    change: float = 0.0

    @property
    def gives_states(self) -> bool:
        return True

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        if parts.memory_width != host.width:
            raise ValueError(
                f"tokens {parts.memory_width} wide beside a host {host.width} wide; choose a "
                "connector that maps to the host's width"
            )
        return Slots(epilogue=ReadStates(self, host.width))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        def step(name: str, given: int) -> tuple[Work, ...]:
            return (
                linear("decoder", f"{name} into state", text, given + self.state, self.hidden),
                linear("decoder", f"{name} state", text, self.hidden, self.state),
            )

        steps = (*step("picture", width), *step("words", host.width))
        if not tokens:
            return steps
        pairs = text * tokens
        return (
            attention("decoder", "mean of tokens", pairs, 1, width + 1, reads=Reads.MEMORY),
            *steps,
        )

    def cached(self, host: Host, tokens: int) -> int:
        return host.width * tokens


class ReadStates(nn.Module):
    """Final hidden states of the rows to their states, `[batch, token, 3 state + 2]`."""

    def __init__(self, config: ModularState, width: int) -> None:
        super().__init__()
        self.width, self.change = width, config.change
        self.steps = StateSteps(
            (width,) * STEPS, state=config.state, hidden=config.hidden, dropout=config.dropout
        )

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token read"]:
        seen, there = seen_mean(hidden, reading, self.width, PLACE)
        present = torch.stack([there, torch.ones_like(there)], -1)
        states = self.steps((seen, hidden), present)
        if self.change and reading.losses is not None:
            valid = reading.table.valid
            reading.losses.add("change", self.change * mean_change(states[valid], present[valid]))
        return torch.cat([states.flatten(-2), present.to(states.dtype)], -1)
