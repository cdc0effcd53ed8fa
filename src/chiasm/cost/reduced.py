"""The prefill of a decoder whose visual rows change from layer to layer.

    FLOPs, tables' convention:  sum_l 2 n_l P_l + 4 n_l^2 d        n_l = text + visual_l
    FLOPs of visible pairs:     sum_l 2 n_l P_l + 4 d n_l (n_l + 1) / 2
    bytes of keys and values:   sum_l 2 n_l kv_heads head_width bytes

P_l are the weights of a layer's matrices, d is heads * head_width. Only sizes are read, so that a
paper's arithmetic can be repeated for any decoder; `chiasm.cost.count` bills a whole system, and
agrees with this where its rows are plainly causal.
"""

from collections.abc import Sequence

from chiasm.compression.alive import Counted
from chiasm.compression.evidence import Asks, BlockLook, DecoderAttention, Look
from chiasm.compression.reducer import Multiplies
from chiasm.cost.bill import FLOPS, Line
from chiasm.spec import Host
from chiasm.spec.work import decoder_layer


def prefill_flops(host: Host, visual: Sequence[int], *, text: int, visible: bool = False) -> int:
    """FLOPs of the layers' prefill of `text` rows and `visual[l]` visual rows in layer l.

    `visible` counts the pairs that causal order permits, otherwise every pair.
    """
    return sum(layer_flops(host, at, text + rows, visible) for at, rows in enumerate(visual))


def layer_flops(host: Host, layer: int, rows: int, visible: bool = False) -> int:
    """One layer's share: 2 n P + 4 d pairs."""
    pairs = rows * (rows + 1) // 2 if visible else rows * rows
    return FLOPS * sum(work.macs for work in decoder_layer(host.at(layer), rows, pairs, ""))


def kv_bytes(host: Host, visual: Sequence[int], *, text: int, size: int = 2) -> int:
    """Bytes of the keys and values that the layers keep; `size` is a number's."""
    of = [host.at(layer) for layer in range(len(visual))]
    rows = zip(of, visual, strict=True)
    return sum(2 * size * one.kv_heads * one.head_width * (text + n) for one, n in rows)


def packed_bytes(tokens: int, channels: int, *, bits: int, parameters: int) -> int:
    """Bytes of `tokens x channels` numbers as codes of `bits` bits, packed along the tokens, and of
    a scale and a zero point a channel, `parameters` bytes together.
    """
    return channels * (-(-tokens * bits // 8) + parameters)


def own_lines(found: Counted, host: Host, *, text: int, question: int, encoder: int) -> list[Line]:
    """What the reducers multiply themselves: rows of attention, matching, clustering.

    `question` of the `text` rows stand behind the last visual token; `encoder` is the width of the
    encoder's blocks, each patch of which is taken for a token. A look at the encoder is taken once,
    before anything goes. What a given text tower does is not in it, nor is sorting.
    """
    lines: list[Line] = []
    looked: set[Look] = set()
    for at, step in enumerate(found.steps):
        macs = 0
        for look in step.reducer.needs:
            if isinstance(look, DecoderAttention):
                rows = text + step.before
                queries = {Asks.LAST: 1, Asks.QUESTION: question, Asks.ALL: rows}[look.asks]
                macs += queries * rows * host.heads * host.head_width
            elif isinstance(look, BlockLook) and look not in looked:
                units = [unit for units in found.items for unit in units]
                macs += sum((unit if look.rows_of_all else 1) * unit * encoder for unit in units)
            looked.add(look)
        for own in (step.reducer.scorer, step.reducer.fate):
            if isinstance(own, Multiplies):
                macs += sum(own.macs(tokens, kept, host.width) for tokens, kept in step.groups)
        name = f"reducer {at} before layer {step.reducer.site.layer}"
        lines.append(Line("compression", name, macs, macs))
    return lines
