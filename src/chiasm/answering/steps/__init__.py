"""Steps: each reads the trace and writes more of it."""

from chiasm.answering.steps.choose import Choose
from chiasm.answering.steps.read import Answer
from chiasm.answering.steps.rerank import ByPassages
from chiasm.answering.steps.retrieve import Retrieve

__all__ = ["Answer", "ByPassages", "Choose", "Retrieve"]
