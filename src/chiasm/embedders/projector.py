"""From one frozen encoder's space into another's: what the house embedder was taught."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Projector(nn.Module):
    """y = W x + U gelu(V x) of the normalised x, the sum of a line and a curve.

    As `unimodal-to-multimodal` projects (arXiv 2409.19425), for one pooled vector an item.
    """

    def __init__(self, width: int, out: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.line = nn.Linear(width, out)
        self.rise = nn.Linear(width, hidden)
        self.fall = nn.Linear(hidden, out)

    def forward(self, x: Float[Tensor, "item width"]) -> Float[Tensor, "item out"]:
        x = self.dropout(self.norm(x))
        return self.line(x) + self.fall(F.gelu(self.rise(x)))
