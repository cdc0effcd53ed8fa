"""What binds spaces (OmniBind, arXiv 2407.11895): projectors, routers, and routing by source."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.embedders.stages.align import Round
from chiasm.embedders.stages.bound import Bound, BoundSpaces
from chiasm.embedders.states import Read
from chiasm.objectives import Contrastive


@dataclass(frozen=True, kw_only=True)
class Bind:
    """Three losses, none of which reaches the frozen towers.

    binding: for every space e and projector p, the mean contrast of P_ep(x_e) of one side with the
    hub's entry of the other, both ways, over all pairs of kinds of item; it teaches projectors.
    contrast: of what comes out; it teaches routers. decoupling: -log of the total weight that a
    caption gives to spaces of its own source; its form is ours, the release has none.
    """

    fusion: BoundSpaces
    contrast: Contrastive
    decoupling: float = 1.0

    def build(self, widths: dict[str, int]) -> nn.Module:
        return BindJudge(self)


class BindJudge(nn.Module):
    """The losses of a round, by name."""

    def __init__(self, config: Bind) -> None:
        super().__init__()
        self.config = config

    def forward(self, of: Round, scorer: nn.Module) -> dict[str, Tensor]:
        scores = scorer(of.queries.embedding, of.candidates.embedding)
        return {
            "binding": self.binding(of),
            "contrast": self.config.contrast.judge(scores, of.targets),
            "decoupling": self.config.decoupling * self.decoupling(of),
        }

    def binding(self, of: Round) -> Float[Tensor, ""]:
        """The mean over spaces, projectors, kinds and both ways."""
        queries, candidates = _bound(of.queries), _bound(of.candidates)
        found: list[Tensor] = []
        for one, other, targets in (
            (queries, candidates, of.targets),
            (candidates, queries, of.targets.T),
        ):
            for kind in one.projected:
                for against in other.hubs:
                    found += self._bound_to(one, kind, other, against, targets)
        return torch.stack(found).mean()

    def _bound_to(
        self, one: Bound, kind: str, other: Bound, against: str, targets: Tensor
    ) -> list[Tensor]:
        config = self.config.fusion
        (router,) = (r for r in config.routers if r.name == kind)
        there = other.hubs[against].any(-1)
        found: list[Tensor] = []
        for place, tower in enumerate(router.towers):
            own = one.has[kind][:, place]
            wanted = targets[own][:, there]
            if config.space_of(tower).name == config.hub or not bool(wanted.any()):
                continue
            for projected in one.projected[kind][own, place].unbind(1):
                scores = projected @ other.hubs[against][there].T
                found.append(self.config.contrast.judge(scores, wanted))
        return found

    def decoupling(self, of: Round) -> Float[Tensor, ""]:
        """The mean over captions of both sides; a document's is about what its query asks about."""
        found = [
            self._by_source(_bound(read), of.about, of.count)
            for read in (of.queries, of.candidates)
        ]
        every = torch.cat(found)
        return every.mean() if len(every) else every.sum()

    def _by_source(
        self, read: Bound, about: Int[Tensor, " query"], count: int
    ) -> Float[Tensor, " caption"]:
        config, found = self.config.fusion, [next(iter(read.weights.values())).new_zeros(0)]
        for router in config.routers:
            if not router.by_source or router.name not in read.weights:
                continue
            sources = torch.tensor([int(config.space_of(t).source) for t in router.towers])
            right = about.unsqueeze(-1) == sources.to(about.device)
            weights = read.weights[router.name][:count]
            told = (weights > 0).any(-1) & right.any(-1)
            found.append(-(weights * right).sum(-1)[told].log())
        return torch.cat(found)


def _bound(read: Read) -> Bound:
    return cast(Bound, read.fused)
