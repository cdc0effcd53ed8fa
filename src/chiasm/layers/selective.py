"""The selective state space of Mamba-2: causal convolution, delta, scan; whole or row by row."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.layers.ssd import scan, scan_step


class Sizes(Protocol):
    """Sizes of a mixer, as `chiasm.spec.StateSpace` states them."""

    @property
    def heads(self) -> int: ...
    @property
    def head_width(self) -> int: ...
    @property
    def state(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def kernel(self) -> int: ...
    @property
    def chunk(self) -> int: ...
    @property
    def bias(self) -> bool: ...
    @property
    def kernel_bias(self) -> bool: ...
    @property
    def activation(self) -> str: ...
    @property
    def norm_eps(self) -> float: ...
    @property
    def step_limit(self) -> tuple[float, float | None]: ...
    @property
    def inner(self) -> int: ...
    @property
    def shared(self) -> int: ...
    @property
    def convolved(self) -> int: ...
    @property
    def projected(self) -> int: ...


@dataclass(frozen=True)
class ScanState:
    """What a mixer remembers of the rows so far; its size does not depend on their number."""

    recent: Float[Tensor, "sequence earlier convolved"]
    """The last rows that the convolution still reads, kernel - 1 of them."""
    state: Float[Tensor, "sequence head head_width state"]


class SelectiveScan(nn.Module):
    """x, B, C = act(conv(xBC)); delta = softplus(dt + bias); y = scan (arXiv 2405.21060, 7).

    A = -exp(A_log), one number a head.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.conv1d = nn.Conv1d(
            sizes.convolved,
            sizes.convolved,
            sizes.kernel,
            groups=sizes.convolved,
            bias=sizes.kernel_bias,
        )
        self.activation = ACT2FN[sizes.activation]
        # As Mamba-2 starts: decays of 1 to 16, steps spread evenly over magnitudes.
        self.A_log = nn.Parameter(torch.empty(sizes.heads).uniform_(1, 16).log())
        steps = torch.empty(sizes.heads).uniform_(math.log(1e-3), math.log(1e-1)).exp()
        self.dt_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        self.D = nn.Parameter(torch.ones(sizes.heads))

    def forward(
        self,
        rows: Float[Tensor, "sequence token convolved"],
        dt: Float[Tensor, "sequence token head"],
        valid: Bool[Tensor, "sequence token"] | None = None,
        past: ScanState | None = None,
    ) -> tuple[Float[Tensor, "sequence token inner"], ScanState]:
        """`rows` holds x, B and C. Rows that are not `valid` stand before all valid rows (of a
        sequence without past) or after them; they change nothing, and their output means nothing.
        """
        sizes, count = self.sizes, rows.shape[1]
        if valid is not None:
            rows = rows.masked_fill(~valid.unsqueeze(-1), 0)
        earlier = rows.new_zeros(rows.shape[0], sizes.kernel - 1, rows.shape[2])
        if past is not None:
            earlier = past.recent.to(rows.dtype)
        extended = torch.cat([earlier, rows], 1)
        convolved = self.activation(self.conv1d(extended.transpose(1, 2)).transpose(1, 2))
        x, b, c = convolved.split([sizes.inner, sizes.shared, sizes.shared], -1)
        x = x.unflatten(-1, (sizes.heads, -1))
        b, c = (values.unflatten(-1, (sizes.groups, -1)) for values in (b, c))
        exact = torch.promote_types(dt.dtype, torch.float32)
        least, most = sizes.step_limit
        delta = F.softplus(dt.to(exact) + self.dt_bias.to(exact)).clamp(least, most)
        if valid is not None:
            # exp(0 A) = 1: a row without a step leaves the state as it found it.
            delta = delta.masked_fill(~valid.unsqueeze(-1), 0)
        a, d = -self.A_log.to(exact).exp(), self.D
        if past is not None and count == 1:
            y, state = scan_step(x[:, 0], delta[:, 0], a, b[:, 0], c[:, 0], d, past.state)
            y = y.unsqueeze(1)
        else:
            held = None if past is None else past.state
            y, state = scan(x, delta, a, b, c, d, held, chunk=sizes.chunk)
        return y.flatten(2), ScanState(_recent(extended, count, valid), state)

    def nothing(self, rows: Float[Tensor, "sequence token convolved"]) -> ScanState:
        """The past of sequences that have none."""
        sizes, exact = self.sizes, torch.promote_types(rows.dtype, torch.float32)
        recent = rows.new_zeros(rows.shape[0], sizes.kernel - 1, rows.shape[2])
        shape = (rows.shape[0], sizes.heads, sizes.head_width, sizes.state)
        return ScanState(recent, torch.zeros(shape, dtype=exact, device=rows.device))


def _recent(
    extended: Tensor, count: int, valid: Bool[Tensor, "sequence token"] | None
) -> Float[Tensor, "sequence earlier convolved"]:
    """The rows before the end of each sequence, `count` of the extended ones being new."""
    kept = extended.shape[1] - count
    if valid is None:
        return extended[:, count:]
    places = torch.arange(1, count + 1, device=valid.device)
    ends = (places * valid).amax(1, keepdim=True)
    index = ends + torch.arange(kept, device=valid.device)
    return extended.gather(1, index.unsqueeze(-1).expand(-1, -1, extended.shape[2]))
