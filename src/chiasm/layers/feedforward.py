"""The gated feed-forward of the Llama family."""

from torch import Tensor, nn
from transformers.activations import ACT2FN


def normed_feed_forward(width: int, multiple: int) -> nn.Sequential:
    """W2 gelu(W1 LN(x)) without biases, `multiple` times as wide inside (arXiv 2204.14198)."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, multiple * width, bias=False),
        nn.GELU(),
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
