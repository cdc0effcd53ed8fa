"""The token table: what every row is, as equal-shaped tensors that all rooms read."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.stream.identity import Role


@dataclass(frozen=True)
class TokenTable:
    """Identity of the rows of a stream; every tensor is `[batch, token]` or `[batch, token, axis]`.

    `order` is the row's place in reading order (causality compares it, so that two rows may share a
    rotary position); `position` is that rotary position, float32, one entry per axis. Rows may be
    stored in any order: rules read the table, never the storage index.
    """

    modality: Int[Tensor, "batch token"]
    item: Int[Tensor, "batch token"]
    """Which image, clip or document: how many media items of the sample start before this row,
    this row's own included. 0 means "before any item"."""
    unit: Int[Tensor, "batch token"]
    """Which frame or tile of the item."""
    place: Float[Tensor, "batch token 3"]
    """(t, y, x) inside the unit, in patches; a latent's t is the time of its flow."""
    turn: Int[Tensor, "batch token"]
    role: Int[Tensor, "batch token"]
    segment: Int[Tensor, "batch token"]
    """Packing segment; `SHARED` rows are seen by all segments."""
    order: Int[Tensor, "batch token"]
    position: Float[Tensor, "batch token axis"]
    valid: Bool[Tensor, "batch token"]

    @classmethod
    def text(cls, valid: Bool[Tensor, "batch token"], *, role: Role = Role.USER) -> "TokenTable":
        """A table of plain text rows; positions count the valid rows from 0."""
        zeros = torch.zeros(valid.shape, dtype=torch.long, device=valid.device)
        order = (valid.long().cumsum(1) - 1).clamp(min=0)
        return cls(
            modality=zeros,
            item=zeros,
            unit=zeros,
            place=torch.zeros(*valid.shape, 3, device=valid.device),
            turn=zeros,
            role=torch.full_like(zeros, int(role)),
            segment=zeros,
            order=torch.arange(valid.shape[1], device=valid.device).expand_as(zeros),
            position=order.float().unsqueeze(-1),
            valid=valid,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(batch, rows)."""
        return self.valid.shape[0], self.valid.shape[1]

    @property
    def device(self) -> torch.device:
        return self.valid.device

    def columns(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor of every field."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    def rows(self, index: Int[Tensor, "batch row"]) -> "TokenTable":
        """The rows named by `index`, per sample."""
        return TokenTable(**{name: take(column, index) for name, column in self.columns()})

    def cut(self, rows: slice) -> "TokenTable":
        """A contiguous run of rows, as views."""
        return TokenTable(**{name: column[:, rows] for name, column in self.columns()})

    def append(self, other: "TokenTable") -> "TokenTable":
        """This table's rows followed by `other`'s."""
        return TokenTable(
            **{
                name: torch.cat([column, getattr(other, name)], dim=1)
                for name, column in self.columns()
            }
        )

    def to(self, device: torch.device | str) -> "TokenTable":
        return TokenTable(**{name: column.to(device) for name, column in self.columns()})

    def hiding(self, hidden: Bool[Tensor, "batch token"]) -> "TokenTable":
        """The same rows, the `hidden` ones no longer valid."""
        return replace(self, valid=self.valid & ~hidden)


def packed(
    stays: Bool[Tensor, "batch row"],
) -> tuple[Int[Tensor, "batch kept"], Bool[Tensor, "batch kept"]]:
    """Places of the rows that stay, in order, as many as the fullest sample has, and which of them
    hold a row: a sample with fewer is filled up with its first place.
    """
    counts = stays.sum(1)
    most = int(counts.max())
    order = stays.int().sort(dim=1, descending=True, stable=True).indices[:, :most]
    alive = torch.arange(most, device=stays.device) < counts[:, None]
    return order.where(alive, order[:, :1]), alive


def unpacked(
    values: Float[Tensor, "batch kept width"],
    places: Int[Tensor, "batch kept"],
    alive: Bool[Tensor, "batch kept"],
    count: int,
) -> Float[Tensor, "batch row width"]:
    """The way back from `packed`: values at their places among `count` rows, zeros elsewhere."""
    rows = values.new_zeros(values.shape[0], count + 1, values.shape[-1])
    # What holds no row is written behind the last row, which is cut off.
    places = places.masked_fill(~alive, count).unsqueeze(-1).expand_as(values)
    return rows.scatter(1, places, values)[:, :count]


def take(values: Tensor, index: Int[Tensor, "batch row"]) -> Tensor:
    """`values[b, index[b, r]]` for `[batch, token]` or `[batch, token, width]` values."""
    if values.dim() == 2:
        return values.gather(1, index)
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
