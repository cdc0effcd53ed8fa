"""Question 8, its pure half: losses. One verb, `judge`."""

from chiasm.objectives.next_token import NextToken

__all__ = ["NextToken"]
