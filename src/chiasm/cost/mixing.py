"""Peak memory of a state-space layer, predicted from sizes alone; see `chiasm.cost.activations`.

For n rows of width w, P numbers projected and C of them convolved, a mixer holds at its peak

- always: the stream's embeddings, the layer's input and its norm, 3 n w; what is projected, n P;
- of the convolution: masked, extended and convolved rows, 3 n C;
- of the scan, in float32: the skipped x, the weighted x and B and C in chunks, and the sums of
  delta A as doubles. Besides, the larger of two: a chunk's scores and the decays of every head, as
  doubles and as floats while they are made, n Q heads numbers (Q rows a chunk); or what the rows of
  a chunk read of one another, and three copies of the state at every border.
"""

from chiasm.spec import Host

FLOAT32, DOUBLE = 4, 8


def mixer_bytes(host: Host, rows: int, size: int) -> int:
    """The most bytes alive in one layer of a stack whose host has a mixer, caches apart."""
    mixer = host.mixer
    assert mixer is not None
    chunk = max(1, min(mixer.chunk, rows))
    filled = -(-rows // chunk) * chunk
    outside = 3 * rows * host.width + rows * (mixer.projected + 3 * mixer.convolved)
    chunks = filled // chunk
    kept = rows * mixer.inner + filled * (mixer.inner + 2 * mixer.shared) + 2 * rows * mixer.heads
    pairs = filled * chunk
    within = FLOAT32 * pairs * mixer.groups + (DOUBLE + FLOAT32) * pairs * mixer.heads
    states = chunks * mixer.inner * mixer.state
    borders = FLOAT32 * (2 * filled * mixer.inner + 3 * states)
    kept = FLOAT32 * kept + DOUBLE * filled * mixer.heads
    thinking = 0
    if host.ff_width:
        thinking = (2 + (3 if host.gated else 2) * host.ff_width // host.width) * rows * host.width
    scanning = outside * size + kept + max(within, borders)
    return max(scanning, (2 * rows * host.width + thinking) * size)
