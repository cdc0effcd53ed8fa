"""Two live stacks in lock step: each reads the other's current state at the links."""

from itertools import pairwise
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.backbone.cache import Cache
from chiasm.backbone.decoder import Decoder
from chiasm.backbone.run import Run
from chiasm.backbone.stack import Stack
from chiasm.spec.host import Host
from chiasm.spec.reading import Execution, Losses
from chiasm.spec.slots import NormSite, Weights
from chiasm.stream import Memory, Stream


class LockStep(Decoder):
    """A decoder whose media tokens live in a tower of their own width and depth.

    Between links both stacks run alone. At a link (i, j), layer i of the host and layer j of the
    tower begin by reading each other, in the states that both had before (Zipper, ViLBERT's
    co-attention). Without new media the tower rests, and the host reads what it cached.
    """

    def __init__(
        self,
        host: Host,
        stack: Stack,
        weights: Weights,
        *,
        tower_host: Host,
        tower: Stack,
        tower_weights: Weights,
        links: tuple[tuple[int, int], ...],
        after: nn.Module | None = None,
    ) -> None:
        super().__init__(host, stack, weights)
        _check(links, stack.depth, tower.depth)
        self.links, self.after = links, after
        self.tower = tower
        self.tower_norm: nn.Module | None = None
        if tower_host.final_norm:
            self.tower_norm = tower_weights.norm(tower.depth, NormSite.FINAL, tower_host.width)

    def forward(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
        inputs: list[Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Final hidden states of the host's rows, joined with the tower's where a module does."""
        hidden, beside = self.both(
            stream, cache=cache, execution=execution, losses=losses, inputs=inputs
        )
        if self.after is None:
            return hidden
        table = None if stream.memory is None else stream.memory.table
        return cast(Tensor, self.after(hidden, beside, table, cache))

    def both(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
        inputs: list[Tensor] | None = None,
    ) -> tuple[Float[Tensor, "batch token width"], Tensor | None]:
        """Final hidden states of the host's rows, and of the tower's where media came."""
        run = self.begin(stream, cache=cache, execution=execution, losses=losses)
        beside = None
        if stream.memory is not None:
            own = Stream(stream.memory.tokens, stream.memory.table)
            # The tower runs once, with all media at hand: it needs no cache of its own.
            beside = self.tower.begin(own, execution=execution, losses=losses)
        for layer, place in self.links:
            self.stack.advance(run, layer, inputs)
            if beside is not None:
                self.tower.advance(beside, place)
                _meet(run, beside)
        self.stack.advance(run, self.stack.depth, inputs)
        hidden = self.finish(run)
        if beside is None:
            return hidden, None
        self.tower.advance(beside, self.tower.depth)
        self.tower.close(beside)
        return hidden, beside.restored(self._tower_normed(beside))

    def _tower_normed(self, run: Run) -> Tensor:
        normed = (
            run.hidden if self.tower_norm is None else self.tower_norm(run.hidden, run.reading())
        )
        return cast(Tensor, normed)


def _meet(one: Run, other: Run) -> None:
    """Each run's memory becomes the other's state of now, before either changes."""
    first, second = one.hidden, other.hidden
    one.remember(Memory(second, other.call.table))
    other.remember(Memory(first, one.call.table))


def _check(links: tuple[tuple[int, int], ...], depth: int, tower_depth: int) -> None:
    rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(links))
    fits = all(0 <= i < depth and 0 <= j < tower_depth for i, j in links)
    if not rising or not fits:
        raise ValueError(
            f"links {links} must rise and lie within {depth} host and {tower_depth} tower layers"
        )
