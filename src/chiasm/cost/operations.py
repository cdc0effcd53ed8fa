"""The prefill of a decoder in which visual rows do less work (`VisualOperations`)."""

from chiasm.compression.neighbours import neighbour_pairs
from chiasm.compression.operations import VisualOperations
from chiasm.cost.bill import FLOPS
from chiasm.spec import Host


def visual_flops(
    host: Host, done: VisualOperations, grid: tuple[int, int], *, text: int = 0
) -> int:
    """FLOPs that visual rows cause: their matrices, and every pair with a visual row in it.

    Pairs: visual rows with each other (causal, or the window's), and `text` rows behind them with
    all of them, in active heads: 4 a d pairs a layer, a the share of active heads.
    """
    tokens = grid[0] * grid[1]
    seen = tokens * (tokens + 1) // 2
    if done.window is not None:
        seen = neighbour_pairs(*grid, done.window)
    each = 2 * FLOPS * (seen + text * tokens)
    layers = [host.at(layer) for layer in range(host.depth) if done.runs(layer)]
    heads = (sum(done.active(at, of.heads)) * of.head_width for at, of in enumerate(layers))
    return visual_matrix_flops(host, done, tokens) + each * sum(heads)


def visual_matrix_flops(host: Host, done: VisualOperations, tokens: int) -> int:
    """FLOPs of the matrices that visual rows pass:

        sum over the layers they run of  2 n (a A + F / m)

    A: weights of queries, keys, values and output, F: of the feed-forward, m: `split`.
    """
    done.check(host.depth, host.heads)
    weights = 0
    for layer in filter(done.runs, range(host.depth)):
        of = host.at(layer)
        active = sum(done.active(layer, of.heads))
        attention = 2 * of.width * (of.heads + of.kv_heads) * of.head_width
        thinking = of.width * of.ff_width * (3 if of.gated else 2)
        weights += attention * active // of.heads + thinking // done.split
    return FLOPS * tokens * weights
