"""The answer to question 4: the rule among the sequence's rows, and the rule towards the memory."""

from dataclasses import dataclass

from chiasm.stream import Rule


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Who sees whom, within the sequence and from the sequence to a layer's memory.

    The engine adds validity and packed segments to both; a system states only what is its own.
    """

    sequence: Rule
    memory: Rule
