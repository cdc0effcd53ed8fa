"""OmniBind's fusion (arXiv 2407.11895): frozen spaces bound to a hub, weighed item by item."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.embedders.states import States, side_by_side
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class Space:
    """One frozen expert: towers whose vectors lie in one space."""

    name: str
    towers: tuple[str, ...]
    source: Modality = Modality.IMAGE
    """What the captions are about that it knows best."""


@dataclass(frozen=True, kw_only=True)
class Router:
    """w = softmax(gain sigma(W3 tanh BN(W2 relu BN(W1 x)))) over the spaces of `towers`, x the
    vectors of the towers that it `reads`, side by side.
    """

    name: str
    towers: tuple[str, ...]
    """One of each space that items of its kind have."""
    reads: tuple[str, ...]
    gain: float = 1.0
    by_source: bool = False
    """Whether it is taught to weigh a caption's spaces by what the caption is about."""
    blended: str | None = None
    """A tower whose space is heard through the hub alone."""


@dataclass(frozen=True, kw_only=True)
class BoundSpaces:
    """norm(sum_e w_e mean_p P_ep(x_e)) for the words of an item and for its picture, and their sum.

    x_e are unit vectors of frozen towers, no gradient reaches them. P_ep is Linear, BN, ReLU,
    Linear, BN, brought to length one; towers of one space share it. The hub needs none: its entry
    is norm(share x + (1 - share) mean_p P_p(x of a `blended` tower)), or x without one. A space
    that has nothing of an item (no tower, or a vector of zeros) is left out, and the weights of the
    others sum to 1. What comes out teaches the routers alone; what teaches the projectors is in
    `Bound`.
    """

    spaces: tuple[Space, ...]
    hub: str
    routers: tuple[Router, ...]
    projectors: int = 7
    hidden: int = 2048
    routing: tuple[int, int] = (512, 100)
    share: float = 0.9
    """Of the hub in its entry, where another tower is blended in."""

    def space_of(self, tower: str) -> Space:
        """The space that the tower's vectors lie in."""
        return next(space for space in self.spaces if tower in space.towers)

    def width(self, widths: Mapping[str, int]) -> int:
        (tower, *_) = next(space.towers for space in self.spaces if space.name == self.hub)
        return widths[tower]

    def build(self, widths: Mapping[str, int]) -> "Binding":
        return Binding(self, widths)


@dataclass(frozen=True, kw_only=True)
class Bound(States):
    """The fused item, and by router what it was made of."""

    weights: dict[str, Float[Tensor, "item space"]]
    """As the router gave them, spaces without a vector included."""
    projected: dict[str, Float[Tensor, "item space projector width"]]
    """Every entry; the hub's own for each of its places."""
    hubs: dict[str, Float[Tensor, "item width"]]
    has: dict[str, Bool[Tensor, "item space"]]
    """Whether a space has something of an item."""


class Binding(nn.Module):
    """Unit vectors of the towers to one vector an item."""

    def __init__(self, config: BoundSpaces, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.config, self.widths = config, dict(widths)
        out = config.width(widths)
        self.projectors = nn.ModuleDict(
            {
                space.name: nn.ModuleList(
                    _projector(widths[space.towers[0]], config.hidden, out)
                    for _ in range(config.projectors)
                )
                for space in config.spaces
                if space.name != config.hub
            }
        )
        self.routers = nn.ModuleDict(
            {
                one.name: _router(sum(widths[t] for t in one.reads), config.routing, one.towers)
                for one in config.routers
            }
        )

    def forward(self, made: dict[str, States], seen: dict[str, States]) -> Bound:
        vectors = {name: _unit(states) for name, states in made.items()}
        every = side_by_side([_narrow(states) for states in made.values()])
        count = len(every.tokens)
        total = every.tokens.new_zeros(count, self.config.width(self.widths))
        weights: dict[str, Tensor] = {}
        projected: dict[str, Tensor] = {}
        hubs: dict[str, Tensor] = {}
        found: dict[str, Tensor] = {}
        for router in self.config.routers:
            own = [self._of(tower, vectors, total) for tower in router.towers]
            has = torch.stack([x.any(-1) for x in own], -1)
            rows = has.any(-1).nonzero()[:, 0]
            if not len(rows):
                continue
            read = torch.cat([self._of(tower, vectors, total) for tower in router.reads], -1)
            told, name = self.routers[router.name](read[rows]).sigmoid(), router.name
            beside = vectors.get(router.blended or "")
            entries = self._entries(
                router, [x[rows] for x in own], None if beside is None else beside[rows]
            )
            weights[name] = _among(count, rows, (router.gain * told).softmax(-1))
            projected[name] = _among(count, rows, entries)
            found[name] = has
            hub = [self.config.space_of(t).name for t in router.towers].index(self.config.hub)
            hubs[name] = projected[name][:, hub, 0].detach()
            total = total + mixed(projected[name].detach(), weights[name], has)
        fused = every.alone(total)
        held = {field.name: getattr(fused, field.name) for field in fields(States)}
        return Bound(**held, weights=weights, projected=projected, hubs=hubs, has=found)

    def _entries(
        self, router: Router, own: list[Tensor], beside: Tensor | None
    ) -> Float[Tensor, "row space projector width"]:
        """What every space of a router has to say; `beside` is blended into the hub."""
        found: list[Tensor] = []
        for tower, x in zip(router.towers, own, strict=True):
            space = self.config.space_of(tower).name
            if space != self.config.hub:
                found.append(self.project(space, x))
                continue
            if router.blended is not None and beside is not None:
                mean = self.project(self.config.space_of(router.blended).name, beside).mean(1)
                mean, share = mean * beside.any(-1, keepdim=True), self.config.share
                x = nn.functional.normalize(share * x + (1 - share) * mean, dim=-1)
            found.append(x.unsqueeze(1).expand(-1, self.config.projectors, -1))
        return torch.stack(found, 1)

    def project(self, space: str, x: Tensor) -> Float[Tensor, "row projector width"]:
        """Unit vectors of every projector of a space."""
        each = [projector(x) for projector in cast(nn.ModuleList, self.projectors[space])]
        return nn.functional.normalize(torch.stack(each, 1), dim=-1)

    def _of(self, tower: str, vectors: dict[str, Tensor], like: Tensor) -> Tensor:
        """A tower's vectors; zeros where it read nothing."""
        return vectors.get(tower, like.new_zeros(len(like), self.widths[tower]))


def mixed(
    entries: Float[Tensor, "item space projector width"],
    weights: Float[Tensor, "item space"],
    present: Bool[Tensor, "item space"],
) -> Float[Tensor, "item width"]:
    """norm(sum_e w_e mean_p P_ep), the weights of spaces that are present summing to 1; zeros for
    an item that no space has.
    """
    kept = weights * present
    kept = kept / kept.sum(-1, keepdim=True).masked_fill(~present.any(-1, keepdim=True), 1)
    return nn.functional.normalize((kept.unsqueeze(-1) * entries.mean(2)).sum(1), dim=-1)


def _unit(states: States) -> Float[Tensor, "item width"]:
    vectors = states.tokens[:, 0] * states.present.unsqueeze(-1)
    return nn.functional.normalize(vectors, dim=-1).detach()


def _narrow(states: States) -> States:
    """One number a token, so that towers of all widths stand side by side."""
    return states.carrying(states.tokens[..., :1])


def _among(count: int, rows: Tensor, of: Tensor) -> Tensor:
    """Rows at their places among `count`, zeros elsewhere."""
    return of.new_zeros(count, *of.shape[1:]).index_copy(0, rows, of)


def _projector(width: int, hidden: int, out: int) -> nn.Module:
    made = nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out),
        nn.BatchNorm1d(out),
    )
    return _drawn(made)


def _router(width: int, routing: tuple[int, int], towers: tuple[str, ...]) -> nn.Module:
    first, second = routing
    made = nn.Sequential(
        nn.Linear(width, first),
        nn.BatchNorm1d(first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.BatchNorm1d(second),
        nn.Tanh(),
        nn.Linear(second, len(towers)),
    )
    return _drawn(made)


def _drawn(of: nn.Module) -> nn.Module:
    """Matrices as the release draws them, Glorot and Bengio's uniform law."""
    for parameter in of.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
    return of
