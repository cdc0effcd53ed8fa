"""Feed-forwards: gated as in the Llama family, or plain."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.layers.vectors import Kind, Vectors


def normed_feed_forward(width: int, multiple: int, activation: str = "gelu") -> nn.Sequential:
    """W2 act(W1 LN(x)) without biases, `multiple` times as wide inside (arXiv 2204.14198)."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, multiple * width, bias=False),
        ACT2FN[activation],
        nn.Linear(multiple * width, width, bias=False),
    )


class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202); act is SiLU in Llama."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        out: int | None = None,
        bias: bool = False,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=bias)
        self.up_proj = nn.Linear(width, hidden, bias=bias)
        self.down_proj = nn.Linear(hidden, width if out is None else out, bias=bias)
        self.activation = ACT2FN[activation]

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, token, width]` to `[batch, token, out]`."""
        return self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))


class FeedForward(nn.Module):
    """A decoder layer's feed-forward over weights that `linear` makes, called with their rows.

    Gated: down(act(gate(x)) * up(x)); plain: down(act(up(x))). `norm` acts on the hidden units.
    """

    def __init__(
        self,
        linear: Callable[[str, int, int], nn.Module],
        width: int,
        hidden: int,
        *,
        gated: bool,
        activation: str,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.gate_proj = linear("gate", width, hidden) if gated else None
        self.up_proj = linear("up", width, hidden)
        self.down_proj = linear("down", hidden, width)
        self.norm, self.hidden = norm, hidden
        self.activation = ACT2FN[activation]

    def forward(self, x: Tensor, reading: object = None) -> Tensor:
        """`[batch, token, width]` to the same."""
        up = self.up_proj(x, reading)
        if self.gate_proj is None:
            hidden = self.activation(up)
        else:
            hidden = self.activation(self.gate_proj(x, reading)) * up
        return self.down_proj(hidden if self.norm is None else self.norm(hidden, reading), reading)

    def vectors(self) -> Sequence[Vectors]:
        """Hidden units; none where a norm, an activation with act(0) other than 0, or other weights
        tie them.
        """
        making = [part for part in (self.gate_proj, self.up_proj) if part is not None]
        plain = all(isinstance(part, nn.Linear) for part in (*making, self.down_proj))
        if self.norm is not None or not plain or float(self.activation(torch.zeros(()))) != 0:
            return ()
        made = tuple((cast(nn.Linear, part), 1) for part in making)
        return (
            Vectors(Kind.FEED_FORWARD, self.hidden, made, (cast(nn.Linear, self.down_proj), 1)),
        )
