"""From scores to the next id: greedy, or sampled from the nucleus."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import Misuse

COLDEST = 1e-4
"""Below it, scores divided by the temperature leave float32; what is drawn is the likeliest."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Temperature 0 is greedy; `top_p` keeps the smallest set of ids of that probability mass
    (Holtzman et al. 2019, arXiv 1904.09751).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise Misuse(
                f"temperature {self.temperature} must be 0 or more and top_p {self.top_p} in (0, 1]"
            )

    def generator(self, device: torch.device) -> torch.Generator:
        """The source of randomness of one generation."""
        return torch.Generator(device).manual_seed(self.seed)

    def choose(
        self, logits: Float[Tensor, "row vocabulary"], generator: torch.Generator
    ) -> Int[Tensor, " row"]:
        """The next id of every row."""
        if self.temperature < COLDEST:
            return logits.argmax(-1)
        scores = (logits.float() / self.temperature).softmax(-1)
        ordered, ids = scores.sort(-1, descending=True)
        outside = ordered.cumsum(-1) - ordered >= self.top_p
        drawn = torch.multinomial(ordered.masked_fill(outside, 0.0), 1, generator=generator)
        return ids.gather(-1, drawn).squeeze(-1)
