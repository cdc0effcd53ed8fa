"""Two towers of one shape: the host's own for text, a copy of its layers for latents (X-Fusion)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from chiasm.experts.by_group import NORMS, WeightsByGroup
from chiasm.experts.shared import PlainWeights
from chiasm.experts.sites import BLOCK, layer_weights, norm_weights
from chiasm.spec import Host, Work
from chiasm.spec.slots import NormSite, Site, Weights
from chiasm.spec.work import LayerRows, rows_in
from chiasm.stream import Modality, Rows

LATENT = Rows.of(Modality.LATENT)


class Keys(StrEnum):
    """Whose projections make keys and values.

    tower: every tower makes keys and values of all rows, with weights of its own, and queries of
    its own rows. modality: each row's keys and values are made once, by its own tower.
    """

    TOWER = "tower"
    MODALITY = "modality"


@dataclass(frozen=True, kw_only=True)
class DualTower:
    """A row is changed by its own tower's layers, which read the joint sequence of both towers'
    last outputs (X-Fusion, arXiv 2504.20996); only the final norm is shared where keys are towers'.
    """

    keys: Keys = Keys.TOWER

    @property
    def kinds(self) -> tuple[Rows, Rows]:
        """The rows of the text tower and of the vision tower."""
        return ~LATENT, LATENT

    @property
    def groups(self) -> tuple[Rows, ...]:
        return self.kinds

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return self.kinds if Keys(self.keys) is Keys.TOWER else ()

    @property
    def looks_ahead(self) -> bool:
        return False

    @property
    def _by_group(self) -> WeightsByGroup:
        inside = tuple(site for site in NORMS if site is not NormSite.FINAL)
        return WeightsByGroup(kinds=self.kinds, sites=BLOCK, norms=inside)

    def weights(self, host: Host) -> Weights:
        if Keys(self.keys) is Keys.MODALITY:
            return self._by_group.weights(host)
        return PlainWeights(host)

    def idle(self, host: Host, modality: Modality) -> int:
        """All of the other tower, but its keys, its values and the norms before them, where every
        tower makes its own.
        """
        other = self._by_group.idle(host, modality)
        if Keys(self.keys) is Keys.MODALITY:
            return other
        passed = host.depth * sum(layer_weights(host, site) for site in (Site.KEY, Site.VALUE))
        return (
            other
            - passed
            - norm_weights(host, NormSite.ATTENTION)
            - norm_weights(host, NormSite.KEY)
        )

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        if Keys(self.keys) is Keys.MODALITY:
            return rows.work(host, name)
        every = max(1, sum(rows.query.values()))
        bills: list[Work] = []
        for tower, kind in zip(("text", "vision"), self.kinds, strict=True):
            queries = rows_in(rows.query, kind)
            own = replace(
                rows,
                query=_only(rows.query, kind),
                output=_only(rows.output, kind),
                feed_forward=_only(rows.feed_forward, kind),
                pairs=rows.pairs * queries // every,
            )
            bills += own.work(host, f"{name} {tower}")
        return tuple(bills)


def _only(counts: Mapping[Modality, int], rows: Rows) -> dict[Modality, int]:
    """The counts of a row set."""
    return {modality: count for modality, count in counts.items() if modality in rows.modalities}
