"""Media that enter in mid-stack hold no position: words count on as if they were not there."""

from dataclasses import dataclass, replace

from chiasm.positions.learned import with_learned
from chiasm.positions.reading_order import added_before, reading_order
from chiasm.stream import Modality, Rows, TokenTable
from chiasm.stream.table import take

WORDS = Rows.of(Modality.TEXT, Modality.LEARNED)


@dataclass(frozen=True, kw_only=True)
class WordsAlone:
    """Text rows, and the last `learned` rows of every image, which are marked as learned rows, are
    numbered in reading order; an image's other rows stand at 0, where a rotary turn is none, and
    count for nothing (eP-ALM, arXiv 2303.11403).
    """

    learned: int

    @property
    def axes(self) -> int:
        return 1

    def number(self, table: TokenTable) -> TokenTable:
        table = replace(table, modality=with_learned(table, self.learned))
        index = reading_order(table)
        rows = table.rows(index)
        words = WORDS.select(rows)
        position = added_before(rows, (words & rows.valid).long()) * words
        placed = take(position, index.argsort(dim=1))
        return replace(table, position=placed.float().unsqueeze(-1))

    def taught(self, table: TokenTable) -> TokenTable:
        return table
