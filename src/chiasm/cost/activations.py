"""Peak memory of a prefill, predicted from sizes alone.

    peak = weights + max(media, prologue, keys and values + decoder)

Each term is the most numbers alive at once while that part runs, without gradients, in eager
execution of this engine; kernels' own workspaces are left out. For a decoder of width w and n rows:

- always: the stream's embeddings and the layer's input, 2 n w; the memory that layers read;
  rotary tables, 2 n head_width in float32; a byte a pair where the rule is not plain causal;
- while a layer attends: the normed input n w, queries q, and either keys while they are turned
  (three products of their size) or what is read, with the mask as numbers;
- while its feed-forward runs on f rows: the new hidden states, their norm, and three times f x
  feed-forward width (gate, up, product; two where there is no gate).

A layer with a state-space mixer holds what `chiasm.cost.mixing` says.

Keys and values that the cache keeps are counted once, in the cache; a prologue has none and holds
its own. Media: the largest sum of what three operations in succession read and write, as long as a
layer's values live.
"""

from dataclasses import dataclass

from chiasm.cost.geometry import Prompt
from chiasm.cost.mixing import mixer_bytes
from chiasm.cost.prefill import media_work, memory_width
from chiasm.cost.trunk import trunk
from chiasm.cost.visible import chosen
from chiasm.model import Model
from chiasm.spec import Host
from chiasm.stream import RowPlan, TokenTable
from chiasm.visibility import Causal

FLOAT32 = 4


@dataclass(frozen=True)
class Rows:
    """How many rows a stack runs, and how many do which work."""

    all: int
    query: int
    key_value: int
    output: int
    feed_forward: int

    @classmethod
    def of(cls, plan: RowPlan, table: TokenTable) -> "Rows":
        return cls(table.shape[1], *(chosen(table, rows).shape[1] for rows in plan.sets()))


def peak_bytes(model: Model, prompt: Prompt, size: int, weights: int, kept: int) -> int:
    """Bytes at the peak of one sample's prefill; `size` is a number's, `kept` the cache's."""
    answers = model.answers
    host, tokens = answers.host, prompt.geometry.tokens
    memory = tokens * memory_width(answers) if answers.fusion.reads_memory else 0
    held = [line.held for line in media_work(answers, prompt)]
    media = max((sum(held[at : at + 3]) for at in range(len(held))), default=0)
    prologue = 0
    if model.decoder.prologue is not None and tokens:
        fused = prompt.rows + tokens
        outside = prompt.rows * host.width + memory
        inside = stack_bytes(host, Rows(*[fused] * 5), size, masked=True, cached=False)
        prologue = outside * size + inside
    layers = trunk(model)
    plain = all(layer.plan.complete and layer.rule == Causal() for layer in layers)
    sizes = (
        (layer.host, Rows.of(layer.plan, prompt.at(number))) for number, layer in enumerate(layers)
    )
    decoder = max(
        stack_bytes(of, rows, size, masked=not plain, cached=True)
        for of, rows in dict.fromkeys(sizes)
    )
    if answers.fusion.reads_memory and model.decoder.prologue is None:
        decoder += memory * size
    return weights + max(media * size, prologue, kept + decoder)


def stack_bytes(host: Host, rows: Rows, size: int, *, masked: bool, cached: bool) -> int:
    """The most bytes alive in one layer of a stack, apart from what a cache keeps."""
    if host.mixer is not None:
        return mixer_bytes(host, rows.all, size)
    inner, shared = host.heads * host.head_width, host.kv_heads * host.head_width
    pairs = rows.query * rows.key_value if masked else 0
    own = 0 if cached else 2 * rows.key_value * shared
    turning = 3 * rows.key_value * shared
    reading = rows.query * inner + pairs
    attending = rows.all * host.width + rows.query * inner + own + max(turning, reading)
    updated = (rows.all + rows.feed_forward) * host.width
    thinking = updated + (3 if host.gated else 2) * rows.feed_forward * host.ff_width
    held = 2 * rows.all * host.width + max(attending, thinking)
    return held * size + 2 * rows.all * host.head_width * FLOAT32 + pairs
