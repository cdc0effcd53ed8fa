"""Media tokens as rows of the sequence, with a choice of how far their path reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chiasm.fusion.entry import AsRows
from chiasm.spec import Host, Work
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import ALL, TEXT, RowPlan


class VisualPath(StrEnum):
    """What media rows go through in a layer.

    full: everything, as text does (LLaVA). ffn: the feed-forward alone, h <- h + FFN(norm h). diag:
    their own value and the feed-forward, h <- h + W_o W_v norm(h), then FFN (EE-MLLM's two
    readings, arXiv 2408.11795).
    """

    FULL = "full"
    FFN = "ffn"
    DIAG = "diag"


_PLANS = {
    VisualPath.FULL: RowPlan(),
    VisualPath.FFN: RowPlan(query=TEXT, output=TEXT),
    VisualPath.DIAG: RowPlan(query=TEXT, output=ALL),
}


@dataclass(frozen=True)
class InSequence(AsRows):
    """Each placeholder row is replaced by its media token (LLaVA, arXiv 2304.08485)."""

    visual_path: VisualPath = VisualPath.FULL

    def plan(self, layer: int) -> RowPlan:
        return _PLANS[VisualPath(self.visual_path)]

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots()

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0
