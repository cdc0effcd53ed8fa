"""What a head promises that may point at rows of images, and what one is that points nowhere."""

from collections.abc import Sequence

from chiasm.spec.host import Host
from chiasm.spec.work import Work


class PointsNowhere:
    """A head whose classes are the host's words."""

    @property
    def pointers(self) -> int:
        return 0

    def pointing_work(self, host: Host, rows: int, tokens: int) -> Sequence[Work]:
        return ()

    def pointed(self, host: Host) -> int:
        return 0
