"""Mixture of depths: in some layers, only the rows that a router picks are run at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.experts.losses import choice_prediction
from chiasm.experts.router import Predictors
from chiasm.spec import Host, Work
from chiasm.spec.reading import Chosen, Reading
from chiasm.spec.slots import NormSite, Site, Weights
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows


@dataclass(frozen=True, kw_only=True)
class MixtureOfDepths:
    """h + sigmoid(w h) (layer(h) - h) at each sample's best `capacity` of rows, h elsewhere
    (arXiv 2404.02258; with a sigmoid and causal predictors MoMa's option, arXiv 2407.21770).

    `base` says whose weights process the rows that run.
    """

    base: Any
    capacity: float
    first: int
    """The first layer that rows can skip."""
    stride: int
    predictors: int
    """Hidden units of the causal predictor that chooses outside of training; 0: none."""

    @property
    def groups(self) -> tuple[Rows, ...]:
        return self.base.groups

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return self.base.lanes

    @property
    def looks_ahead(self) -> bool:
        return self.base.looks_ahead or not self.predictors

    def skips(self, layer: int) -> bool:
        """Whether rows can skip a layer."""
        return layer >= self.first and (layer - self.first) % self.stride == 0

    def weights(self, host: Host) -> "DepthWeights":
        return DepthWeights(host, self)

    def idle(self, host: Host, modality: Modality) -> int:
        """Those of the base: a row that skips a layer is counted as one that runs it."""
        return self.base.idle(host, modality)

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        if not self.skips(layer):
            return self.base.work(host, layer, rows, name)
        count = sum(rows.query.values())
        keys = rows.pairs // count if count else 0
        kept = self._kept(count)
        fewer = LayerRows(
            query=self._share(rows.query),
            key_value=self._share(rows.key_value),
            output=self._share(rows.output),
            feed_forward=self._share(rows.feed_forward),
            pairs=kept * (kept + self._kept(keys - count)),
        )
        scores = count * host.width * (1 + self.predictors) + count * self.predictors
        return (
            Work("decoder", f"{name} depth router", scores),
            *self.base.work(host, layer, fewer, name),
        )

    def _kept(self, rows: int) -> int:
        return ceil(self.capacity * rows)

    def _share(self, counts: dict[Modality, int] | Any) -> dict[Modality, int]:
        """The kept rows, spread over the modalities as evenly as whole rows allow."""
        total, out, before = sum(counts.values()), {}, 0
        for modality, count in counts.items():
            after = before + count
            kept = self._kept(total)
            out[modality] = kept * after // total - kept * before // total if total else 0
            before = after
        return out


class DepthWeights:
    """The base's weights, and a router in every layer that rows can skip."""

    def __init__(self, host: Host, answer: MixtureOfDepths) -> None:
        self.host, self.answer = host, answer
        self.base: Weights = answer.base.weights(host)

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        return self.base.linear(layer, site, width, out, bias=bias)

    def norm(self, layer: int, site: NormSite, width: int) -> nn.Module:
        return self.base.norm(layer, site, width)

    def feed_forward(self, layer: int) -> nn.Module | None:
        return self.base.feed_forward(layer)

    def choose(self, layer: int) -> nn.Module | None:
        if not self.answer.skips(layer):
            return self.base.choose(layer)
        return DepthRouter(self.host.width, self.answer.capacity, self.answer.predictors)


class DepthRouter(nn.Module):
    """Each sample's best `capacity` of rows, by w h, in each run of rows that is stored together.

    Outside of training a predictor says from the row alone whether it would be among them; it reads
    h without its gradient and is taught by cross-entropy.
    """

    def __init__(self, width: int, capacity: float, predictors: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.gate = nn.Linear(width, 1, bias=False)
        self.predictors = Predictors(width, 1, predictors) if predictors else None

    def forward(self, hidden: Float[Tensor, "batch token width"], reading: Reading) -> Chosen:
        scores, valid = self.gate(hidden).squeeze(-1), reading.table.valid
        predicted = None
        if self.predictors is not None:
            predicted = self.predictors(hidden.detach()).squeeze(-1)
        best = self._best(scores, valid, reading)
        if predicted is not None and reading.losses is not None:
            reading.losses.add("depth_prediction", choice_prediction(predicted, best, valid))
        picked = best if self.training or predicted is None else (predicted > 0) & valid
        return _as_chosen(picked, scores.sigmoid(), reading)

    def _best(self, scores: Tensor, valid: Tensor, reading: Reading) -> Tensor:
        """True for the best rows of each run: a share of the real ones, rounded up."""
        best = torch.zeros_like(valid)
        for _, run in reading.groups:
            real, ranked = valid[:, run], scores[:, run].detach()
            ranked = ranked.masked_fill(~real, torch.finfo(ranked.dtype).min)
            rank = ranked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            best[:, run] = rank < torch.ceil(self.capacity * real.sum(1, keepdim=True))
        return best


def _as_chosen(picked: Tensor, weight: Tensor, reading: Reading) -> Chosen:
    """The picked rows of each run, ascending, as many places as the fullest sample needs."""
    index, valid, runs, start = [], [], [], 0
    for rows, run in reading.groups:
        here = picked[:, run]
        most = max(1, int(here.sum(1).max()))
        places = (~here).long().argsort(dim=1, stable=True)[:, :most]
        index.append(places + run.start)
        valid.append(here.gather(1, places))
        runs.append((rows, slice(start, start + most)))
        start += most
    chosen = torch.cat(index, dim=1)
    return Chosen(
        index=chosen,
        valid=torch.cat(valid, dim=1),
        weight=weight.gather(1, chosen).unsqueeze(-1),
        runs=tuple(runs),
    )
