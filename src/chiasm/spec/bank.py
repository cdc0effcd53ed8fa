"""Which adapter of a bank a sample passes."""

from jaxtyping import Int
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.spec.reading import Reading


def chosen(reading: Reading, count: int) -> Int[Tensor, " batch"]:
    """Each sample's adapter out of `count`, as `Inputs.adapter` names it; a cached step keeps the
    prompt's.

    Raises:
        Misuse: none was named, or one that is not in the bank.
    """
    notes, key = reading.call.notes, ("adapter", count)
    if key not in notes:
        named, cache = reading.call.stream.adapter, reading.cache
        if named is None and cache is not None and key in cache.memory:
            (named,) = cache.memory[key]
        if named is None:
            raise Misuse(f"a bank of {count} adapters, and no sample names one; set Inputs.adapter")
        least, most = (int(edge) for edge in named.aminmax())
        if least < 0 or most >= count:
            raise Misuse(f"adapter {least if least < 0 else most} is not among {count} (from 0)")
        if cache is not None:
            cache.memory[key] = (named,)
        notes[key] = named
    return notes[key]
