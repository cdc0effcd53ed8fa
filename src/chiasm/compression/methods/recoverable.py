"""Recoverable Compression (arXiv 2409.01179): pruned by the picture, recovered by the question.

Unit by unit, before the projector where the host gives the encoder's features:

1. visual picks: the highest of a = softmax(q_CLS k / sqrt(width)), whole width, heads not split;
2. text picks: of the others, those most like the question, t = cos / sqrt(768);
3. of the rest the highest of a are centres; each gains its 32 nearest by cos(keys) + 50 t:
   x_c + sum_i a_i x_i (not normalised);
4. where there is a centre, one token more is sum_i a_i x_i over what is no centre. It stands where
   the highest of these stood; picks and centres stand where they stood.

How many of each is the share of outliers among the scores, by local outlier factors of k = 20, 20
and 10 neighbours. `by_sample` keeps just as many, and `keep` is then only what a bill expects;
otherwise the three numbers are scaled to `keep`, so that the method meets a budget.

`text` says where the question's likeness comes from: "tower", the published way, is CLIP's text
tower (`TextSimilarity`), which the host's user has to pass; "embeddings", for hosts without one, is
the cosine of a token with the mean of the question's embeddings in the decoder. Without a class
token, a is the mean over all rows' attention, heads not split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from chiasm.compression.alive import in_proportion
from chiasm.compression.budgets import Share
from chiasm.compression.evidence import (
    BlockKeys,
    Encoded,
    Evidence,
    Look,
    Question,
    TextSimilarity,
)
from chiasm.compression.fates import best
from chiasm.compression.local_outliers import outlier_share
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Budget, Reducer, Reduction, Scope, Site
from chiasm.compression.scorers import Looked
from chiasm.errors import Misuse

LIKENESS: dict[str, Look] = {"tower": TextSimilarity(), "embeddings": Question()}


@register_method("recoverable-compression")
@dataclass(frozen=True, kw_only=True)
class RecoverableCompression:
    """One step before the first layer."""

    keep: float
    by_sample: bool = False
    text: str = "embeddings"
    neighbours: tuple[int, int, int] = (20, 20, 10)
    """Of the outlier factors: among visual scores, text scores, and the rest's visual scores."""
    members: int = 32
    text_weight: float = 50.0

    def __post_init__(self) -> None:
        if self.text not in LIKENESS:
            raise Misuse(f"text={self.text!r} is no likeness; choose {' or '.join(LIKENESS)}")

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1:
            return ()
        block = shape.penultimate
        share = Share(self.keep)
        budget: Budget = share
        if self.by_sample:
            budget = Outliers(neighbours=self.neighbours[0], share=share)
        fate = Recovered(
            likeness=LIKENESS[self.text],
            keys=BlockKeys(block=block),
            neighbours=self.neighbours,
            members=self.members,
            text_weight=self.text_weight,
            scaled=not self.by_sample,
        )
        look = WholeWidthAttention(block=block, rows_of_all=not shape.class_token)
        return (
            Reducer(
                site=Site(),
                scope=Scope.UNIT,
                scorer=Looked(look=look),
                budget=budget,
                fate=fate,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class WholeWidthAttention:
    """softmax(q k / sqrt(width)) over all rows, heads side by side as one.

    With H heads, q k / sqrt(width) = sum_h (q_h k_h / sqrt(width / H)) / sqrt(H), and a head's
    logits are the logarithms of its attention up to a constant, so that this is
    softmax(sum_h log A_h / sqrt(H)). Mean over the rows that are shown.
    """

    block: int
    rows_of_all: bool

    def per_patch(
        self, attention: Float[Tensor, "head query row"], class_tokens: int
    ) -> Float[Tensor, " patch"]:
        logits = attention.float().clamp(min=1e-30).log().sum(0) / math.sqrt(attention.shape[0])
        return logits.softmax(-1).mean(0)[class_tokens:]


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """As many tokens as there are outliers among the scores, at least one."""

    neighbours: int
    share: Share
    """What a bill expects of all parts together."""

    def count(self, scores: Tensor) -> int:
        return max(1, round(outlier_share(scores, self.neighbours) * scores.numel()))

    def expected(self, tokens: int) -> int:
        return self.share.count(torch.zeros(tokens))


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Visual picks, text picks, centres and what else is left; see the module."""

    likeness: Look
    keys: BlockKeys
    neighbours: tuple[int, int, int]
    members: int
    text_weight: float
    scaled: bool
    """Whether the count is that of all parts together, and not of the visual picks alone."""

    @property
    def needs(self) -> Sequence[Look]:
        return (self.likeness, self.keys)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        visual, text, centres, rest = self.parts(evidence, scores, count)
        chosen = torch.cat([visual, text, centres])
        features = evidence.seen.get(Encoded(), evidence.hidden)
        values = features.float()
        gained = torch.zeros_like(values)
        if len(centres):
            gained[centres] = self.members_of(evidence, scores, centres, rest, values)
        if len(centres) and len(rest):
            stand_in = rest[scores[rest].argmax()].unsqueeze(0)
            every = (scores[rest].float().unsqueeze(1) * values[rest]).sum(0, keepdim=True)
            gained[stand_in] = every - values[stand_in]
            chosen = torch.cat([chosen, stand_in])
        index = chosen.sort().values
        made = (values + gained)[index].to(features.dtype)
        if features is evidence.hidden:
            return Reduction(index, made)
        return Reduction(index, encoded=made)

    def parts(
        self, evidence: Evidence, scores: Tensor, count: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Which are visual picks, text picks, centres, and none of these."""
        alike = self.likeness_of(evidence)
        tokens = evidence.tokens
        if self.scaled:
            share = outlier_share(scores, self.neighbours[0])
            first, second, third = self._picked(scores, alike, round(share * tokens))
            sizes = scaled(len(first), len(second), len(third), tokens, count)
        else:
            sizes = (count, None, None)
        visual, text, centres = self._picked(scores, alike, *sizes)
        left = torch.ones(tokens, dtype=torch.bool, device=scores.device)
        left[torch.cat([visual, text, centres])] = False
        return visual, text, centres, left.nonzero().flatten()

    def _picked(
        self,
        scores: Tensor,
        alike: Tensor,
        first: int,
        second: int | None = None,
        third: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The three picks; a number that is not given is the share of outliers."""
        visual = best(scores, first)
        alike = alike.clone()
        alike[visual] = alike.min()
        left = torch.ones_like(scores, dtype=torch.bool)
        left[visual] = False
        others = left.nonzero().flatten()
        if second is None:
            second = round(outlier_share(alike, self.neighbours[1]) * len(others))
        text = others[best(alike[others], second)]
        left[text] = False
        others = left.nonzero().flatten()
        if third is None:
            third = round(outlier_share(scores[others], self.neighbours[2]) * len(others))
        return visual, text, others[best(scores[others], third)]

    def likeness_of(self, evidence: Evidence) -> Float[Tensor, " token"]:
        """t: cosine with the question over sqrt(768), CLIP's width."""
        seen = evidence.seen[self.likeness].float()
        if seen.dim() == 2:
            seen = cosine_similarity(evidence.hidden.detach().float(), seen.mean(0, keepdim=True))
        return seen / math.sqrt(768)

    def members_of(
        self, evidence: Evidence, scores: Tensor, centres: Tensor, rest: Tensor, values: Tensor
    ) -> Float[Tensor, "centre width"]:
        """sum_i a_i x_i over each centre's nearest, by keys and by likeness to the question."""
        keys = normalize(evidence.seen[self.keys].float(), dim=-1)
        near = keys[centres] @ keys[rest].T + self.text_weight * self.likeness_of(evidence)[rest]
        members = rest[near.topk(min(self.members, len(rest))).indices]
        return torch.einsum("cn,cnw->cw", scores.float()[members], values[members])

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Likeness of all tokens, and as if all that is kept were centres: cosines and sums."""
        return tokens * width + kept * (tokens - kept + min(self.members, tokens - kept)) * width


def scaled(first: int, second: int, third: int, tokens: int, count: int) -> tuple[int, int, int]:
    """Visual picks, text picks and centres that come to `count`, the token that stands for all
    others included where there is a centre; in the proportions that were found.

    Nothing found: all are visual picks.
    """
    found = (first, second, third)
    if not any(found):
        return count, 0, 0
    one, two, three = in_proportion(found, count - 1)
    if three:
        return one, two, three
    one, two = in_proportion((first, second), count) if first or second else (count, 0)
    return one, two, 0
