"""What a row sees of a picture as one vector: the mean of the tokens that it may see."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.layers import attend
from chiasm.spec.reading import Reading


def seen_mean(
    hidden: Float[Tensor, "batch token width"], reading: Reading, features: int, place: str | None
) -> tuple[Float[Tensor, "batch token features"], Bool[Tensor, "batch token"]]:
    """Each row's mean of the memory tokens that it may see, and whether it may see any; zeros where
    it may not. In a cached step the tokens are those that the prompt left at `place`;
    with None it leaves none.
    """
    # A query of zeros weighs all alike; the last channel is one where anything is seen.
    query = hidden.new_zeros(*hidden.shape[:2], features + 1).unsqueeze(1)
    tokens = _remembered(reading, place)
    if tokens is None or reading.permission is None:
        return query.squeeze(1)[..., :-1], torch.zeros_like(query[:, 0, :, 0], dtype=torch.bool)
    keys = torch.cat([tokens, torch.ones_like(tokens[..., :1])], -1)
    keys = keys.to(hidden.dtype).unsqueeze(1)
    read = attend(query, keys, keys, reading.permission).squeeze(1)
    return read[..., :-1], read[..., -1] > 0.5


def _remembered(reading: Reading, place: str | None) -> Float[Tensor, "batch memory width"] | None:
    """The picture's tokens, in a cached step those of the prompt."""
    cache = reading.cache
    if reading.memory is None:
        held = None if cache is None or place is None else cache.memory.get(place)
        return None if held is None else held[0]
    if cache is not None and place is not None:
        cache.memory[place] = (reading.memory.tokens,)
    return reading.memory.tokens
