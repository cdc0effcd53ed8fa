"""Everything is ids in one stream, read in patches of patches (multiscale byte language model)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from chiasm.fusion.entry import AsRows
from chiasm.spec import Host, Work
from chiasm.spec.slots import Level, Levels, SlotParts, Slots
from chiasm.spec.work import LayerRows, Reads, linear
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class PatchesOfPatches(AsRows):
    """Words and images are ids of one vocabulary; `levels` are the stages around the host's.

    A level's row covers so many rows of the next one: with levels that cover 16 and 8, the
    outermost row stands for 128 bytes (MBLM, arXiv 2502.14553, after MEGABYTE, arXiv 2305.07185).
    """

    levels: tuple[Level, ...]
    chunk: int = 64
    """Outermost patches whose inner stages run at a time: a bound on memory."""

    @property
    def looks_ahead(self) -> bool:
        """A patch is one question's alone, so rows of two cannot follow one image."""
        return True

    def token_width(self, host: Host) -> int:
        """A token is its id."""
        return 1

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(levels=Levels(self.levels, self.chunk))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        """Of the outer stages. The outermost reads whole patches, and so is idle in most steps."""
        work: list[Work] = []
        size = prod(level.covers for level in self.levels)
        whole, patches = text // size, -(-text // size)
        for at, level in enumerate(self.levels):
            ids = prod(one.covers for one in self.levels[at:])
            inside = self.levels[at + 1].host if at + 1 < len(self.levels) else host
            first = at == 0
            count = 1 if first else self.levels[at - 1].covers
            rows = whole if first else patches * count
            run, sequences = (whole + 1, 1) if first else (count + 1, patches)
            own = {Modality.TEXT: run * sequences}
            layer = LayerRows(own, own, own, own, pairs=sequences * run * run)
            lines = [
                linear("decoder", f"stage {at} patches", rows, ids * host.width, level.host.width)
            ]
            for number in range(level.host.depth):
                lines += layer.work(level.host, f"stage {at} layer {number}")
            handed = level.covers * inside.width
            lines.append(
                linear("decoder", f"stage {at} handed", patches * count, level.host.width, handed)
            )
            work += [
                replace(one, reads=Reads.ALL, once=first and "handed" not in one.name)
                for one in lines
            ]
        return work

    def cached(self, host: Host, tokens: int) -> int:
        return 0
