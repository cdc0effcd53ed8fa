"""Media that enter in mid-stack, as rows that nothing of the text reaches."""

from chiasm.fusion.late_class import ENTERING
from chiasm.stream.rule import OwnRow, QueryRows
from chiasm.visibility import Causal, Everything, Sight

SECLUDED = Sight(sequence=Causal() & (~QueryRows(ENTERING) | OwnRow()), memory=Everything())
"""A picture's row sees itself alone: before the words, it would see none; behind them it could hand
on what they say."""
