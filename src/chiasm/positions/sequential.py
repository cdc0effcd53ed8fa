"""The plain answer: positions count the rows in reading order."""

from dataclasses import dataclass

from chiasm.stream import TokenTable


@dataclass(frozen=True)
class Sequential:
    """One axis, one step a row, as the rows were read; packed segments go on from their prefix."""

    @property
    def axes(self) -> int:
        return 1

    def number(self, table: TokenTable) -> TokenTable:
        return table

    def taught(self, table: TokenTable) -> TokenTable:
        return table
