"""Ranked lists made one: reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""

from collections.abc import Sequence

from chiasm.errors import Misuse

K = 60
"""The paper's: how little the first places outweigh the next ones."""


def reciprocal(
    lists: Sequence[Sequence[str]], weights: Sequence[float] | None = None, *, k: int = K
) -> list[tuple[str, float]]:
    """s(id) = sum over lists of weight / (k + rank), ranks from 1, over the lists that have the id.

    Best first; ids of equal scores in the order in which the lists name them.

    Raises:
        Misuse: unequal counts of lists and weights, a negative weight, or an id twice in a list.
    """
    weights = [1.0] * len(lists) if weights is None else weights
    if len(weights) != len(lists) or any(weight < 0 for weight in weights):
        raise Misuse(
            f"{len(lists)} ranked lists and weights {list(weights)}; give one of 0 or more each"
        )
    scores: dict[str, float] = {}
    for weight, ids in zip(weights, lists, strict=True):
        if len(set(ids)) != len(ids):
            raise Misuse("a ranked list names an id twice; give each id once")
        for rank, one in enumerate(ids, 1):
            scores[one] = scores.get(one, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
