"""One decoder in two widths: words and media pass narrow layers together, then the host's."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.fusion.entry import AsRows
from chiasm.spec import Host, Work
from chiasm.spec.slots import Ahead, SlotParts, Slots


@dataclass(frozen=True, kw_only=True)
class TwoWidths(AsRows):
    """Media tokens take rows of the sequence in the width of `ahead`, whose layers see words and
    media alike; W, without a bias, leads to the host's layers (HaploVL, arXiv 2503.14694):

        h = host(W ahead(e)).
    """

    ahead: Host

    def token_width(self, host: Host) -> int:
        return self.ahead.width

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(ahead=Ahead(self.ahead))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        """Nothing besides the two stacks and W, which are counted as the decoder's."""
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0
