"""Text and actions come out: scores over the vocabulary, and beside them a recurrent policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.heads.text import TextScores
from chiasm.spec import DrawsNothing, Host, PointsNowhere, Work
from chiasm.spec.work import linear

State = tuple[Tensor, Tensor]
"""Hidden and cell state of the LSTM, `[layer, batch, width]` each."""
POSE = 6
"""Numbers of a relative pose: three of translation, three of rotation."""


@dataclass(frozen=True, kw_only=True)
class ActionHead(DrawsNothing, PointsNowhere):
    """A vocabulary, and an LSTM over time that gives actions (RoboFlamingo, arXiv 2311.01378;
    shared by all exits in DeeR-VLA, arXiv 2411.02359).

    x_t, the maximum of the text rows' hidden states, goes through `layers` LSTM layers to z_t;
    pose = tanh(W z_t + b), gripper = sigmoid(w z_t + b).
    """

    layers: int
    lstm_width: int

    def build(self, host: Host, embeddings: nn.Embedding) -> "TextAndActions":
        return TextAndActions(self, host, embeddings)

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        return (linear("head", "vocabulary", rows, host.width, host.vocabulary),)

    def action_work(self, host: Host) -> Sequence[Work]:
        """Multiply-adds of one proposal."""
        width, deeper = self.lstm_width, self.layers - 1
        return (
            linear("head", "LSTM", 1, host.width + width, 4 * width),
            linear("head", "deeper LSTM", 1, 2 * width, deeper * 4 * width),
            linear("head", "action", 1, width, POSE + 1),
        )


@dataclass(frozen=True)
class Actions:
    """Proposed actions, one a sample or one a sample and step."""

    pose: Float[Tensor, "*row 6"]
    """Within -1 and 1."""
    grip: Float[Tensor, " *row"]
    """Logit of a closed gripper."""


class Policy(nn.Module):
    """Features `[batch, step, width]` to actions of every step. It keeps no state of its own: what
    follows from a state is returned, and whoever acts decides which of it comes to pass.
    """

    def __init__(self, config: ActionHead, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, config.lstm_width, config.layers, batch_first=True)
        self.to_pose = nn.Linear(config.lstm_width, POSE)
        self.to_grip = nn.Linear(config.lstm_width, 1)

    def forward(
        self, features: Float[Tensor, "batch step width"], state: State | None = None
    ) -> tuple[Actions, State]:
        read, after = self.lstm(features, state)
        return Actions(self.to_pose(read).tanh(), self.to_grip(read).squeeze(-1)), after


class TextAndActions(TextScores):
    """`[row, width]` hidden states to logits (`emit`); `action` is the policy."""

    def __init__(self, config: ActionHead, host: Host, embeddings: nn.Embedding) -> None:
        super().__init__(host, embeddings)
        self.action = Policy(config, host.width)
