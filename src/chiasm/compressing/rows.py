"""Which rows of the prompt a layer runs and which it has keys of, and who sees whom.

Rows keep the numbers they have in the uncut prompt, so one comparison decides visibility whatever
has been dropped, in prefill, in decoding and in a later turn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.errors import Misuse


@dataclass(frozen=True)
class Rows:
    """Rows of a batch `[batch, row]`; slots that hold no row are not alive."""

    index: Int[Tensor, "batch row"]
    """Numbers in the uncut sequence, ascending along the rows that are alive."""
    alive: Bool[Tensor, "batch row"]
    full: bool
    """Whether all are alive; known once, so that no device has to be asked again."""

    def __len__(self) -> int:
        return self.index.shape[1]

    def append(self, other: "Rows") -> "Rows":
        """These, then the others."""
        index = torch.cat([self.index, other.index], 1)
        return Rows(index, torch.cat([self.alive, other.alive], 1), self.full and other.full)

    def take(self, slots: Int[Tensor, "batch kept"], alive: Bool[Tensor, "batch kept"]) -> "Rows":
        """The rows in these slots; a slot that is not alive repeats some row without being one."""
        return Rows(self.index.gather(1, slots), alive, bool(alive.all()))

    def hiding(self, hidden: Bool[Tensor, "batch row"]) -> "Rows":
        """The same rows, some of which nobody sees (the slow reference of `take`)."""
        alive = self.alive & ~hidden
        return Rows(self.index, alive, bool(alive.all()))

    def at(self, chosen: Tensor) -> "Rows":
        """Other samples of the batch, for beams."""
        return Rows(self.index[chosen], self.alive[chosen], self.full)


def everything(batch: int, start: int, count: int, mask: Tensor | None, device: object) -> Rows:
    """Rows `start` to `start + count` of every sample, alive where the 2-D mask says so."""
    index = torch.arange(start, start + count, device=device).expand(batch, -1)  # type: ignore[arg-type]
    if mask is None:
        return Rows(index, torch.ones_like(index, dtype=torch.bool), True)
    alive = mask[:, start : start + count].to(index.device, torch.bool)
    return Rows(index, alive, bool(alive.all()))


def visible(rows: Rows, columns: Rows) -> Bool[Tensor, "batch row column"] | None:
    """Who sees whom: columns that are alive and not later. None: plain causal attention.

    Slots that hold no row see everything, so that no softmax is empty; nobody sees them.
    """
    ordered = len(rows) == len(columns) or len(rows) == 1
    if rows.full and columns.full and ordered:
        return None
    seen = columns.index.unsqueeze(1) <= rows.index.unsqueeze(2)
    return (seen & columns.alive.unsqueeze(1)) | ~rows.alive.unsqueeze(2)


def _boolean(rows: Rows, columns: Rows, dtype: torch.dtype) -> Tensor | None:
    seen = visible(rows, columns)
    return None if seen is None else seen.unsqueeze(1)


def _additive(rows: Rows, columns: Rows, dtype: torch.dtype) -> Float[Tensor, "b 1 row column"]:
    seen = columns.index.unsqueeze(1) <= rows.index.unsqueeze(2)
    seen = (seen & columns.alive.unsqueeze(1)) | ~rows.alive.unsqueeze(2)
    bias = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return bias.masked_fill_(~seen, torch.finfo(dtype).min).unsqueeze(1)


def _valid_columns(rows: Rows, columns: Rows, dtype: torch.dtype) -> Tensor | None:
    return None if columns.full else columns.alive


MASKS: dict[str, Callable[[Rows, Rows, torch.dtype], Tensor | None]] = {
    "sdpa": _boolean,
    "eager": _additive,
    "flash_attention_2": _valid_columns,
}
"""The form of mask that each attention implementation of transformers is given."""


def masks_of(implementation: str) -> Callable[[Rows, Rows, torch.dtype], Tensor | None]:
    """How to say who sees whom to an attention implementation.

    Raises:
        Misuse: one that has not been tried.
    """
    if implementation not in MASKS:
        raise Misuse(
            f"attention {implementation!r} cannot be compressed; load the model with "
            f"attn_implementation= one of {', '.join(sorted(MASKS))}"
        )
    return MASKS[implementation]
