"""Keys and values of a memory: made once, when it is at hand, and kept for the steps after."""

from collections.abc import Callable, Hashable
from typing import cast

from torch import Tensor

from chiasm.spec.reading import Reading

KeyValue = tuple[Tensor, Tensor]


def kept(
    reading: Reading, make: Callable[[Tensor], KeyValue], place: Hashable | None = None
) -> KeyValue | None:
    """What `make` makes of the memory's tokens `[batch, memory, width]`; in a step without memory,
    what an earlier one kept; None if there was none.

    `place` is what it is kept under: the layer, unless a layer keeps several.
    """
    at, cache = reading.layer if place is None else place, reading.cache
    if reading.memory is None:
        return None if cache is None else cast("KeyValue | None", cache.memory.get(at))
    made = make(reading.memory.tokens)
    if cache is not None:
        cache.memory[at] = made
    return made


def given(
    reading: Reading, make: Callable[[Tensor], KeyValue], place: Hashable | None = None
) -> KeyValue:
    """The same where a row is known to see some of the memory.

    Raises:
        ValueError: no memory was ever given.
    """
    found = kept(reading, make, place)
    if found is None:
        raise ValueError(f"layer {reading.layer} reads a memory that was never given")
    return found
