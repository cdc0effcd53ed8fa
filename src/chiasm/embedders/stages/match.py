"""PCME's loss: how likely draws match, pair by pair, without a softmax."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from chiasm.embedders.stages.align import Round
from chiasm.embedders.stages.score import Matches
from chiasm.objectives import SoftMatching
from chiasm.retrieval.embedding import Distribution


@dataclass(frozen=True, kw_only=True)
class MatchPairs:
    """-log p of pairs that match, -log(1 - p) of all others, and the prior of both sides'
    deviations (PCME, arXiv 2101.05068); divided by the number of pairs in the batch.
    """

    matching: SoftMatching

    def build(self, widths: dict[str, int]) -> "MatchJudge":
        return MatchJudge(self)


class MatchJudge(nn.Module):
    """The losses of a round, by name; its scorer is `Matches`."""

    def __init__(self, config: MatchPairs) -> None:
        super().__init__()
        self.config = config

    def forward(self, of: Round, scorer: nn.Module) -> dict[str, Tensor]:
        matching = self.config.matching
        queries, documents = (cast(Distribution, r.embedding) for r in (of.queries, of.candidates))
        likely = cast(Matches, scorer).both(queries, documents)
        found = matching.judge(likely, of.targets.bool()) / of.targets.numel()
        priors = [matching.judge_prior(one.mean, one.log_sigma) for one in (queries, documents)]
        return {"match": found, "prior": torch.stack(priors).sum() / of.count}
