"""The Mamba-2 mixer: forward, in both directions, and across two streams."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.layers.selective import ScanState, SelectiveScan, Sizes
from chiasm.stream.table import take


class GatedNorm(nn.Module):
    """w * g / rms(g) of g = x silu(z), the mean square taken in each group, in float32."""

    def __init__(self, width: int, groups: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.groups, self.eps = groups, eps

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        gated = (x.to(exact) * F.silu(gate.to(exact))).unflatten(-1, (self.groups, -1))
        normed = gated * (gated.pow(2).mean(-1, keepdim=True) + self.eps).rsqrt()
        return self.weight * normed.flatten(-2).to(x.dtype)


class Mamba2(nn.Module):
    """z, xBC, dt = W_in u; out = W_out norm(scan(xBC, dt), z) (arXiv 2405.21060).

    Equal to transformers' `Mamba2Mixer`, except that padding never changes a row, not even where
    the projections have a bias, nor in a step after padding on the right.
    """

    def __init__(self, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.in_proj = nn.Linear(width, sizes.projected, bias=sizes.bias)
        self.scan = SelectiveScan(sizes)
        self.norm = GatedNorm(sizes.inner, sizes.groups, sizes.norm_eps)
        self.out_proj = nn.Linear(sizes.inner, width, bias=sizes.bias)

    def forward(
        self,
        hidden: Float[Tensor, "sequence token width"],
        valid: Bool[Tensor, "sequence token"] | None = None,
        past: ScanState | None = None,
    ) -> tuple[Float[Tensor, "sequence token width"], ScanState]:
        """The update of every row, and what a later call needs as its `past`."""
        gate, rows, dt = split_projected(self.in_proj(hidden), self.sizes)
        y, state = self.scan(rows, dt, valid, past)
        return self.out_proj(self.norm(y, gate)), state


class BidirectionalMamba2(nn.Module):
    """One scan forward, one over the flipped rows, their gated sum times `share` projected out.

    The directions share the projections and the norm; each has its own convolution, delta bias, A
    and D. With `share` 1/2 the mean of both, as in ML-Mamba (arXiv 2407.19832); with 1 the sum.
    """

    def __init__(self, width: int, sizes: Sizes, *, share: float = 0.5) -> None:
        super().__init__()
        self.sizes, self.share = sizes, share
        self.in_proj = nn.Linear(width, sizes.projected, bias=sizes.bias)
        self.ahead, self.back = SelectiveScan(sizes), SelectiveScan(sizes)
        self.norm = GatedNorm(sizes.inner, sizes.groups, sizes.norm_eps)
        self.out_proj = nn.Linear(sizes.inner, width, bias=sizes.bias)

    def forward(
        self,
        hidden: Float[Tensor, "sequence token width"],
        valid: Bool[Tensor, "sequence token"] | None = None,
    ) -> Float[Tensor, "sequence token width"]:
        """The update of every row, which every row reaches; rows that are not `valid` may stand
        anywhere, as a small picture's do in the grid of a large one.
        """
        if valid is None:
            return self._mixed(hidden, None)
        index = (~valid).long().argsort(dim=1, stable=True)
        update = self._mixed(take(hidden, index), valid.gather(1, index))
        return take(update, index.argsort(1))

    def _mixed(self, hidden: Tensor, valid: Tensor | None) -> Tensor:
        gate, rows, dt = split_projected(self.in_proj(hidden), self.sizes)
        ahead, _ = self.ahead(rows, dt, valid)
        flipped = None if valid is None else valid.flip(1)
        back, _ = self.back(rows.flip(1), dt.flip(1), flipped)
        both = self.norm(ahead, gate) + self.norm(back.flip(1), gate)
        return self.out_proj(self.share * both)


class CrossMamba2(nn.Module):
    """One stream is written into the state, another reads it, row by row.

    h_t = exp(delta_t A) h_{t-1} + delta_t x_t B_t^T with x, B, delta of the source, and
    y_t = h_t C_t + D x_t with C (and the gate) of the reader, which decides what it takes: the
    cross-modal scan. Both streams have the same number of rows.
    """

    def __init__(self, width: int, source_width: int, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        written = sizes.inner + sizes.shared + sizes.heads
        self.source_proj = nn.Linear(source_width, written, bias=sizes.bias)
        self.reader_proj = nn.Linear(width, sizes.inner + sizes.shared, bias=sizes.bias)
        self.scan = SelectiveScan(sizes)
        self.norm = GatedNorm(sizes.inner, sizes.groups, sizes.norm_eps)
        self.out_proj = nn.Linear(sizes.inner, width, bias=sizes.bias)

    def forward(
        self,
        reader: Float[Tensor, "sequence token width"],
        source: Float[Tensor, "sequence token source_width"],
        valid: Bool[Tensor, "sequence token"] | None = None,
        past: ScanState | None = None,
    ) -> tuple[Float[Tensor, "sequence token width"], ScanState]:
        """The update of the reader's rows, and what a later call needs as its `past`."""
        sizes = self.sizes
        written, dt = self.source_proj(source).split([sizes.inner + sizes.shared, sizes.heads], -1)
        gate, read = self.reader_proj(reader).split([sizes.inner, sizes.shared], -1)
        y, state = self.scan(torch.cat([written, read], -1), dt, valid, past)
        return self.out_proj(self.norm(y, gate)), state


def split_projected(projected: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor, Tensor]:
    """Gate, rows for the convolution (x, B, C) and dt."""
    gate, rows, dt = projected.split([sizes.inner, sizes.convolved, sizes.heads], -1)
    return gate, rows, dt
