"""Text comes out, or a pointer at a patch: image rows are further classes of the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.heads.text import TextScores
from chiasm.spec import DrawsNothing, Host, Work
from chiasm.spec.work import linear


class PointedState(StrEnum):
    """What of an image row a pointer is matched with."""

    HIDDEN = "hidden"
    """Its final hidden state."""
    ENTERED = "entered"
    """The embedding with which it entered the sequence."""


@dataclass(frozen=True, kw_only=True)
class PointerHead(DrawsNothing):
    """V words and `pointers` classes that name the image rows in reading order (v1, arXiv
    2505.18842):

        logits = [W h; c],   c_j = (W_q h + b_q) . (W_k k_j + b_k) / sqrt(width),

    k_j the state of image row j, c_j = -inf where there is none. W_q and W_k start as
    I / sqrt(width), the biases at zero. The id V + j, once said, is read as the embedding with
    which image row j entered (`chiasm.pointing`). With `normalised`, queries and keys have
    length 1. With `gated`, s = sigmoid(w h + b) weighs both kinds, [2 (1 - s) W h; s c], w and b
    zero at the start, which leaves the words' scores as they are.
    """

    pointers: int
    key_width: int | None = None
    """Of queries and keys; None: the host's width."""
    state: PointedState = PointedState.HIDDEN
    normalised: bool = False
    gated: bool = False

    def build(self, host: Host, embeddings: nn.Embedding) -> "TextAndPointers":
        return TextAndPointers(self, host, embeddings)

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        gate = (linear("head", "pointer gate", rows, host.width, 1),) if self.gated else ()
        return (linear("head", "vocabulary", rows, host.width, host.vocabulary), *gate)

    def pointing_work(self, host: Host, rows: int, tokens: int) -> Sequence[Work]:
        inner = self.inner(host)
        if not tokens:
            return ()
        return (
            linear("head", "pointer keys", tokens, host.width, inner, once=True),
            linear("head", "pointer queries", rows, host.width, inner),
            linear("head", "pointers", rows, inner, tokens),
        )

    def pointed(self, host: Host) -> int:
        return self.inner(host) + host.width

    def inner(self, host: Host) -> int:
        """Width of queries and keys."""
        return host.width if self.key_width is None else self.key_width


class Pointer(nn.Module):
    """The two maps, and the gate."""

    def __init__(self, config: PointerHead, host: Host) -> None:
        super().__init__()
        width, inner = host.width, config.inner(host)
        self.query, self.key = (nn.Linear(width, inner) for _ in range(2))
        for layer in (self.query, self.key):
            nn.init.eye_(layer.weight)
            with torch.no_grad():
                layer.weight.mul_(width**-0.5)
            nn.init.zeros_(layer.bias)
        self.gate = nn.Linear(width, 1) if config.gated else None
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)


class TextAndPointers(TextScores):
    """`[row, width + pointers]`, hidden states and scores of the image rows, to logits."""

    def __init__(self, config: PointerHead, host: Host, embeddings: nn.Embedding) -> None:
        super().__init__(host, embeddings)
        self.config, self.width = config, host.width
        self.pointer = Pointer(config, host)

    def keys(
        self,
        hidden: Float[Tensor, "batch place width"],
        entered: Float[Tensor, "batch place width"],
    ) -> Float[Tensor, "batch place key_width"]:
        """What image rows are matched by."""
        states = {PointedState.HIDDEN: hidden, PointedState.ENTERED: entered}
        return self._turned(self.pointer.key(states[self.config.state]))

    def point(
        self, hidden: Float[Tensor, "batch row width"], keys: Float[Tensor, "batch place key_width"]
    ) -> Float[Tensor, "batch row place"]:
        """c, every row against every image row of its sample."""
        return self._turned(self.pointer.query(hidden)) @ keys.transpose(1, 2) * self.width**-0.5

    def emit(self, hidden: Float[Tensor, "*row read"]) -> Float[Tensor, "*row class"]:
        states, pointed = hidden[..., : self.width], hidden[..., self.width :]
        words = super().emit(states)
        if self.pointer.gate is not None:
            share = cast(Tensor, self.pointer.gate(states)).sigmoid()
            # No share of -inf is taken: its gradient would be no number.
            none = ~pointed.isfinite()
            weighed = share * pointed.masked_fill(none, 0.0)
            words, pointed = 2 * (1 - share) * words, torch.where(none, pointed, weighed)
        return torch.cat([words, pointed.to(words.dtype)], -1)

    def _turned(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x, dim=-1) if self.config.normalised else x
