"""Which heads look at visual tokens at all, and attention in which the others do not.

YOPO (arXiv 2410.06169): per sample a head's ratio is the mass that the generated token's row puts
on visual keys over that on text keys; a head is active if its ratio is above a threshold in more
than a share of the samples.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.errors import Misuse


def visual_ratio(
    weights: Float[Tensor, "*head row"], visual: Bool[Tensor, " row"]
) -> Float[Tensor, "*head"]:
    """Mass on visual keys over mass on text keys, of one query row's attention."""
    on_visual = (weights * visual).sum(-1)
    on_text = (weights * ~visual).sum(-1)
    return on_visual / on_text.clamp(min=torch.finfo(weights.dtype).tiny)


def active_heads(
    ratios: Float[Tensor, "sample layer head"],
    threshold: float,
    *,
    share: float = 0.4,
    whole: int = 2,
) -> tuple[tuple[bool, ...], ...]:
    """Heads above `threshold` in more than `share` of the samples; the first `whole` layers keep
    all of theirs. For LLaVA-1.5-13B the paper's thresholds are 0.035, 0.077 and 0.2.
    """
    often = (ratios > threshold).sum(0) > share * ratios.shape[0]
    often[:whole] = True
    return tuple(tuple(layer) for layer in often.tolist())


def in_groups(active: tuple[tuple[bool, ...], ...], kv_heads: int) -> tuple[tuple[bool, ...], ...]:
    """The mask with all heads active that share a key and a value with an active one."""
    joined: list[tuple[bool, ...]] = []
    for layer in active:
        each = len(layer) // kv_heads
        some = (any(layer[first : first + each]) for first in range(0, len(layer), each))
        joined.append(tuple(one for one in some for _ in range(each)))
    return tuple(joined)


def threshold_for(
    ratios: Float[Tensor, "sample layer head"], mean: float, *, share: float = 0.4, whole: int = 2
) -> float:
    """The largest threshold at which at least `mean` heads a layer are active, on average.

    Raises:
        Misuse: more heads than there are.
    """
    if mean > ratios.shape[2]:
        raise Misuse(f"{mean:g} heads are to be active, a layer has {ratios.shape[2]}")
    candidates = torch.cat([ratios.flatten(), ratios.new_tensor([-1.0])]).unique()
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high + 1) // 2
        chosen = active_heads(ratios, float(candidates[middle]), share=share, whole=whole)
        count = sum(map(sum, chosen)) / len(chosen)
        low, high = (middle, high) if count >= mean else (low, middle - 1)
    return float(candidates[low])


def without_visual(
    weights: Float[Tensor, "batch head query row"],
    visual: Bool[Tensor, "batch row"],
    active: Bool[Tensor, " head"],
) -> Float[Tensor, "batch head query row"]:
    """Weights after the softmax with those of inactive heads on visual keys at 0; the rest stays
    as it is, so that a row may sum to less than 1.
    """
    gone = visual[:, None, None, :] & ~active[None, :, None, None]
    return weights.masked_fill(gone, 0.0)
