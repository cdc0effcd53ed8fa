"""Text and pictures come out: scores over the vocabulary, and velocities of latent rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.heads.latent import Latent
from chiasm.heads.text import TextScores
from chiasm.layers import sine_positions
from chiasm.spec import Host, Work
from chiasm.spec.work import linear

FREQUENCIES = 256
"""Sines and cosines that a time becomes before it is embedded."""


@dataclass(frozen=True, kw_only=True)
class FlowHead:
    """A vocabulary and a flow (BAGEL, arXiv 2505.14683, section 2; Transfusion, arXiv 2408.11039).

    A latent row enters as `W x_t + b + time(t) + position(y, x)`, with fixed 2-D sine positions,
    and leaves as `W' h + b'`, which starts at zero.
    """

    latent: Latent

    def build(self, host: Host, embeddings: nn.Embedding) -> "TextAndVelocities":
        return TextAndVelocities(self, host, embeddings)

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        return (linear("head", "vocabulary", rows, host.width, host.vocabulary),)

    def latent_work(self, host: Host) -> Sequence[Work]:
        """Multiply-adds of one picture's rows on their way in and out, for one step of a flow."""
        rows, numbers = self.latent.rows, self.latent.row_width
        return (
            linear("head", "latent in", rows, numbers, host.width),
            linear("head", "time", 1, FREQUENCIES + host.width, host.width),
            linear("head", "velocity", rows, host.width, numbers),
        )


class TimeEmbedding(nn.Module):
    """W2 silu(W1 [cos, sin](1000 t f)), f from 1 down to 1/10,000 (arXiv 2212.09748)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(FREQUENCIES, width)
        self.second = nn.Linear(width, width)

    def forward(self, time: Float[Tensor, "*n"]) -> Float[Tensor, "*n width"]:
        half = FREQUENCIES // 2
        steps = torch.arange(half, dtype=torch.float32, device=time.device) / half
        angles = 1000.0 * time.float().unsqueeze(-1) * 10_000.0**-steps
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(self.first.weight.dtype)
        return self.second(nn.functional.silu(self.first(waves)))


class FlowEnds(nn.Module):
    """Where latent rows enter the stream and leave it."""

    positions: Tensor

    def __init__(self, latent: Latent, width: int) -> None:
        super().__init__()
        self.latent = latent
        self.enter_proj = nn.Linear(latent.row_width, width)
        self.time = TimeEmbedding(width)
        self.velocity_proj = nn.Linear(width, latent.row_width)
        table = sine_positions(*latent.grid, width)
        self.register_buffer("positions", table, persistent=False)
        self.start()

    def start(self) -> None:
        """The weights of the first step: no velocity, a time that says little."""
        for layer in (self.enter_proj, self.time.first, self.time.second):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.velocity_proj.weight)
        nn.init.zeros_(self.velocity_proj.bias)

    def enter(
        self,
        values: Float[Tensor, "batch row patch"],
        time: Float[Tensor, "batch row"],
        place: Int[Tensor, "batch row"],
    ) -> Float[Tensor, "batch row width"]:
        """Rows of the host's width; `place` is a row's number in its picture."""
        positions = self.positions.to(values.dtype)[place]
        return self.enter_proj(values) + self.time(time) + positions


class TextAndVelocities(TextScores):
    """`[row, width]` hidden states to logits (`emit`), or to velocities."""

    def __init__(self, config: FlowHead, host: Host, embeddings: nn.Embedding) -> None:
        super().__init__(host, embeddings)
        self.flow = FlowEnds(config.latent, host.width)

    def velocity(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row patch"]:
        """d x_t / d t of latent rows."""
        return self.flow.velocity_proj(hidden)
