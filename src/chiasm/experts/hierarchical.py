"""Adapters that know utterances: what is said and shown together, and the others beside it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.errors import Misuse
from chiasm.experts.bottleneck import Bottleneck, Place
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Host
from chiasm.spec.reading import Reading
from chiasm.stream import MEDIA, Modality, Permission, Role, Rows, TokenTable


@dataclass(frozen=True, kw_only=True)
class Hierarchical:
    """A(y) = U act(z + c), z = D y, for rows of the prompt; U act(z) for rows of an answer
    (Hierarchical3D, arXiv 2210.04829, reconstructed).

    An utterance u is an item and the words behind it, up to the next item. Its vector is
    m_u = mean of z over its words + P (mean of z over its media), a mean of nothing being 0; and
    c_u = W_o attention(m)_u among the utterances of a prompt, without a skip, the same for all rows
    of u. U is zero at first.
    """

    hidden: int
    heads: int
    inner: int
    """Width of the attention among utterances, of all heads."""
    place: Place = Place.BEHIND_FEED_FORWARD
    activation: str = "gelu"

    def __post_init__(self) -> None:
        if self.inner % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.inner}; divide it")

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return True

    @property
    def plain(self) -> Bottleneck:
        """The same without utterances."""
        return Bottleneck(place=self.place, hidden=self.hidden, activation=self.activation)

    def build(self, host: Host) -> nn.Module:
        return Utterances(self, self.plain.width(host))

    def macs(self, host: Host) -> int:
        """Of one row; the maps of the few utterances are left out."""
        return self.plain.macs(host)

    def idle(self, host: Host, modality: Modality) -> int:
        return 0

    def check(self, host: Host) -> None:
        """Refuse a host without such a place.

        Raises:
            Misuse: as a plain adapter's, or its layers are a recurrence, which reads no row ahead.
        """
        if host.mixer is not None:
            raise Misuse(
                "utterances are read whole, and this host's layers are a state space's: they read "
                "no row ahead; take a host with attention"
            )
        self.plain.check(host)


class Utterances(nn.Module):
    """`[batch, token, width]` to what is added to it."""

    def __init__(self, config: Hierarchical, width: int) -> None:
        super().__init__()
        self.config, hidden, inner = config, config.hidden, config.inner
        self.down, self.up = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.shown = nn.Linear(hidden, hidden, bias=False)
        self.query, self.key, self.value = (nn.Linear(hidden, inner, bias=False) for _ in range(3))
        self.out = nn.Linear(inner, hidden, bias=False)
        self.activation = ACT2FN[config.activation]
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, reading: Reading, given: Tensor | None = None) -> Tensor:
        z = self.down(x)
        if not self._answers_only(reading, z):
            z = z + self.contextual(z, reading.table)
        return self.up(self.activation(z))

    def contextual(
        self, z: Float[Tensor, "batch token hidden"], table: TokenTable
    ) -> Float[Tensor, "batch token hidden"]:
        """c of each row's utterance; 0 for rows of an answer."""
        number, count = utterances(table)
        shown = MEDIA.select(table)
        said = _means(z, number.masked_fill(shown, count), count)
        m = said + self.shown(_means(z, number.masked_fill(~shown, count), count))
        segment = torch.full((len(z), count + 1), -1, device=z.device)
        segment = segment.scatter(1, number, table.segment)[:, :count]
        there = segment >= 0
        among = (segment.unsqueeze(2) == segment.unsqueeze(1)) & there.unsqueeze(1)
        q, k, v = (split_heads(f(m), self.config.heads) for f in (self.query, self.key, self.value))
        read = self.out(merge_heads(attend(q, k, v, Permission(dense=among))))
        read = nn.functional.pad(read, (0, 0, 0, 1))
        return read.gather(1, number.unsqueeze(-1).expand(-1, -1, z.shape[-1]))

    def _answers_only(self, reading: Reading, z: Tensor) -> bool:
        """Whether the prompt passed in an earlier call, so that what comes now is an answer."""
        cache = reading.cache
        if cache is None:
            return False
        key = ("utterances", reading.layer)
        if key in cache.memory:
            return True
        cache.memory[key] = (torch.ones(len(z), dtype=torch.bool, device=z.device),)
        return False

    def merge(self) -> Tensor:
        raise Misuse("an adapter of utterances depends on the rows: it cannot be merged")


def utterances(table: TokenTable) -> tuple[Int[Tensor, "batch token"], int]:
    """The number of each row's utterance within its sample, and the most there are, which is the
    number of rows of an answer and of padding.
    """
    prompt = table.valid & (table.role != int(Role.ASSISTANT))
    together = prompt.unsqueeze(2) & prompt.unsqueeze(1)
    for name in (table.segment, table.item):
        together = together & (name.unsqueeze(2) == name.unsqueeze(1))
    leader = together.long().argmax(-1)
    first = prompt & (leader == torch.arange(leader.shape[1], device=leader.device))
    count = int(first.sum(-1).max())
    number = (first.long().cumsum(-1) - 1).gather(1, leader)
    return number.masked_fill(~prompt, count), count


def _means(
    z: Float[Tensor, "batch token hidden"], number: Int[Tensor, "batch token"], count: int
) -> Float[Tensor, "batch utterance hidden"]:
    """The mean of each utterance's rows, 0 where it has none; rows of `count` are left out."""
    at = number.unsqueeze(-1)
    total = z.new_zeros(len(z), count + 1, z.shape[-1]).scatter_add(1, at.expand_as(z), z)
    ones = z.new_ones(*z.shape[:2], 1)
    held = z.new_zeros(len(z), count + 1, 1).scatter_add(1, at, ones)
    return (total / held.clamp(min=1))[:, :count]
