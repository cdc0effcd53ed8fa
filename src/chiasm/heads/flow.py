"""Text and pictures come out: scores over the vocabulary, and velocities of latent rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.heads.text import TextScores
from chiasm.layers import FREQUENCIES, TimeEmbedding, sine_positions
from chiasm.spec import Context, Host, Latent, PointsNowhere, Work
from chiasm.spec.work import linear


@dataclass(frozen=True, kw_only=True)
class FlowHead(PointsNowhere):
    """A vocabulary and a flow (BAGEL, arXiv 2505.14683, section 2; Transfusion, arXiv 2408.11039).

    A latent row enters as `W x_t + b + time(t) + position(y, x)`, with fixed 2-D sine positions,
    and leaves as `W' h + b'`, which starts at zero.
    """

    latent: Latent
    context: Context = Context.DRAWING

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
        place: Float[Tensor, "batch row 3"],
    ) -> Float[Tensor, "batch row width"]:
        """Rows of the host's width; `place` is (time, y, x), as the token table holds it."""
        _, across = self.latent.grid
        at = (place[..., 1] * across + place[..., 2]).long().clamp(0, self.latent.rows - 1)
        entered = self.enter_proj(values) + self.time(place[..., 0])
        return entered + self.positions.to(entered.dtype)[at]


class TextAndVelocities(TextScores):
    """`[row, width]` hidden states to logits (`emit`), or to velocities."""

    def __init__(self, config: FlowHead, host: Host, embeddings: nn.Embedding) -> None:
        super().__init__(host, embeddings)
        self.flow = FlowEnds(config.latent, host.width)

    def enter(
        self, values: Float[Tensor, "batch row patch"], place: Float[Tensor, "batch row 3"]
    ) -> Float[Tensor, "batch row width"]:
        """Latent rows on their way into the stream."""
        return self.flow.enter(values, place)

    def velocity(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row patch"]:
        """d x_t / d t of latent rows."""
        return self.flow.velocity_proj(hidden)
