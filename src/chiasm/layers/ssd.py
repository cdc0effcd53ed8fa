"""The state-space dual: a selective scan computed in chunks, one step of it, and its reference."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Values = Float[Tensor, "sequence token head head_width"]
State = Float[Tensor, "sequence head head_width state"]


def scan_step(
    x: Float[Tensor, "sequence head head_width"],
    delta: Float[Tensor, "sequence head"],
    a: Float[Tensor, " head"],
    b: Float[Tensor, "sequence group state"],
    c: Float[Tensor, "sequence group state"],
    d: Float[Tensor, " head"],
    state: State,
) -> tuple[Float[Tensor, "sequence head head_width"], State]:
    """h_t = exp(delta_t A) h_{t-1} + delta_t x_t B_t^T, and y_t = h_t C_t + D x_t.

    The heads of a group share B and C. Computed and kept in float32 or better.
    """
    kind = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        inside, delta = x.to(kind), delta.to(kind)
        # [sequence, group, heads of the group x head_width, state]: B and C stand once a group.
        column = (delta.unsqueeze(-1) * inside).view(*b.shape[:2], -1, 1)
        decay = (delta * a).exp()[..., None, None]
        added = column @ b.to(kind).unsqueeze(-2)
        state = decay * state + added.view_as(state)
        read = state.view_as(added) @ c.to(kind).unsqueeze(-1)
        return (read.view_as(x) + d.to(kind).unsqueeze(-1) * inside).to(x.dtype), state


def scan_slowly(
    x: Values,
    delta: Float[Tensor, "sequence token head"],
    a: Float[Tensor, " head"],
    b: Float[Tensor, "sequence token group state"],
    c: Float[Tensor, "sequence token group state"],
    d: Float[Tensor, " head"],
    state: State | None = None,
) -> tuple[Values, State]:
    """The recurrence, row after row; the reference of `scan`."""
    held = empty_state(x, b) if state is None else state
    rows: list[Tensor] = []
    for t in range(x.shape[1]):
        row, held = scan_step(x[:, t], delta[:, t], a, b[:, t], c[:, t], d, held)
        rows.append(row)
    return torch.stack(rows, 1), held


def scan(
    x: Values,
    delta: Float[Tensor, "sequence token head"],
    a: Float[Tensor, " head"],
    b: Float[Tensor, "sequence token group state"],
    c: Float[Tensor, "sequence token group state"],
    d: Float[Tensor, " head"],
    state: State | None = None,
    *,
    chunk: int = 64,
) -> tuple[Values, State]:
    """The outputs and the last state of `scan_slowly`, in matrix products (arXiv 2405.21060, 6).

    Within a chunk, y = (L * C B^T)(delta x) with L_ts = exp(sum of delta A over s+1..t) for s <= t;
    a chunk's first state adds exp(sum over ..t) C_t h; only the states of chunk borders are
    passed on one after another. A row whose delta is 0 leaves the state as it is, which is how
    a last chunk is filled up and how padding is passed over. `a` is negative; any length and any
    chunk will do. Computed in float32 or better, whatever the type of `x`.
    """
    with torch.autocast(x.device.type, enabled=False):
        return _scan(x, delta, a, b, c, d, state, chunk)


def _scan(
    x: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    d: Tensor,
    state: Tensor | None,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    kind = torch.promote_types(x.dtype, torch.float32)
    length, (groups, width) = x.shape[1], (b.shape[2], x.shape[3])
    rows = min(chunk, length)
    skip = d.to(kind).unsqueeze(-1) * x.to(kind)
    held = empty_state(x, b) if state is None else state.to(kind)
    delta, a = delta.to(kind), a.to(kind)
    # [sequence, chunk, group, row, …], heads as (group, head of the group).
    weighted = _chunks(x.to(kind) * delta.unsqueeze(-1), rows).unflatten(3, (groups, -1))
    weighted = weighted.transpose(2, 3)
    b, c = (_chunks(values.to(kind), rows).transpose(2, 3) for values in (b, c))
    reach = _chunks(delta * a, rows).unflatten(3, (groups, -1)).permute(0, 1, 3, 4, 2)
    # A difference of two long sums must stay exact where it is small.
    reach = reach.double().cumsum(-1)

    within = _within(weighted, reach, b, c)
    before, held = _borders(weighted, reach, b, held)
    across = (c @ before.transpose(-1, -2)).unflatten(4, (-1, width))
    across = across * reach.exp().to(kind).transpose(3, 4).unsqueeze(-1)
    out = (within + across).transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :length]
    return (out + skip).to(x.dtype), held


def _within(weighted: Tensor, reach: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """What the rows of a chunk read of one another, `[…, group, row, head, head_width]`."""
    scores = (c @ b.transpose(-1, -2)).unsqueeze(3)
    return ((scores * _decays(reach, c.dtype)) @ weighted.transpose(3, 4)).transpose(3, 4)


def _borders(
    weighted: Tensor, reach: Tensor, b: Tensor, held: Tensor
) -> tuple[Float[Tensor, "sequence chunk group inner state"], State]:
    """The state before each chunk, and that after the last."""
    last = reach[..., -1:]
    left = (last - reach).exp().to(b.dtype).transpose(3, 4).unsqueeze(-1)
    added = (weighted * left).flatten(4).transpose(3, 4) @ b
    added = added.unflatten(3, (-1, held.shape[2])).flatten(2, 3)
    kept = last.exp().to(b.dtype).flatten(2, 3).unsqueeze(-1)
    borders: list[Tensor] = []
    for at in range(added.shape[1]):
        borders.append(held)
        held = kept[:, at] * held + added[:, at]
    groups = b.shape[2]
    return torch.stack(borders, 1).unflatten(2, (groups, -1)).flatten(3, 4), held


def empty_state(x: Tensor, b: Tensor) -> Tensor:
    """Zeros `[sequence, head, head_width, state]` for inputs `x` and `b` of a scan."""
    kind = torch.promote_types(x.dtype, torch.float32)
    shape = (x.shape[0], *x.shape[2:], b.shape[-1])
    return torch.zeros(shape, dtype=kind, device=x.device)


def _chunks(values: Tensor, rows: int) -> Tensor:
    """`[sequence, token, …]` to `[sequence, chunk, rows, …]`, the last chunk filled with zeros."""
    missing = -values.shape[1] % rows
    filled = F.pad(values, (*(0, 0) * (values.dim() - 2), 0, missing))
    return filled.unflatten(1, (-1, rows))


def _decays(reach: Float[Tensor, "*batch row"], kind: torch.dtype) -> Tensor:
    """L_ts = exp(reach_t - reach_s) for s <= t, else 0."""
    place = torch.arange(reach.shape[-1], device=reach.device)
    later = place > place.unsqueeze(-1)
    sums = (reach.unsqueeze(-1) - reach.unsqueeze(-2)).to(kind)
    # Left alone, sums of later rows would overflow.
    return sums.masked_fill_(later, 0).exp().masked_fill(later, 0)
