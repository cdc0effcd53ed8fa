"""What a system costs: counted from its answers alone, and measured where it can run."""

from chiasm.cost.bill import Bill, Line, Parameters
from chiasm.cost.count import count
from chiasm.cost.latency import alternating, prefill_time
from chiasm.cost.memory import peak_memory
from chiasm.cost.sample import sample_inputs

__all__ = [
    "Bill",
    "Line",
    "Parameters",
    "alternating",
    "count",
    "peak_memory",
    "prefill_time",
    "sample_inputs",
]
