"""Fewer operations on visual tokens, all of which stay (YOPO, arXiv 2410.06169).

- `window`: visual rows see visual rows within a window of the grid, in place of all earlier ones.
- `heads`: an inactive head's weights on visual keys become 0 after the softmax, nothing is made
  good for them, and what the head gives visual rows is 0.
- `split`: visual rows use the first 1 / split of the hidden units of each feed-forward.
- `stop`: from this layer on no row has weight on a visual key, so visual rows run no further.

Text rows keep every weight among themselves, and without an image nothing changes.
"""

from dataclasses import dataclass

from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class VisualOperations:
    """What visual rows still do; the values that change nothing are the defaults."""

    window: int | None = None
    """Side of the window in tokens, odd; None: causal order as ever."""
    heads: tuple[tuple[bool, ...], ...] = ()
    """Active heads of each layer; () means all of them."""
    split: int = 1
    stop: int | None = None
    """The first layer that visual rows do not run; None: they run all."""

    def __post_init__(self) -> None:
        if self.window is not None and (self.window < 1 or not self.window % 2):
            raise Misuse(f"a window of {self.window} tokens has no middle; give an odd number")
        if self.split < 1:
            raise Misuse(f"a feed-forward cannot be split in {self.split}; give at least 1")
        if self.stop is not None and self.stop < 1:
            raise Misuse(
                f"visual rows that stop before layer {self.stop} are never read; give >= 1"
            )

    def active(self, layer: int, heads: int) -> tuple[bool, ...]:
        """Which of so many heads look at visual keys in a layer."""
        return self.heads[layer] if self.heads else (True,) * heads

    def runs(self, layer: int) -> bool:
        """Whether visual rows run a layer."""
        return self.stop is None or layer < self.stop

    def check(self, depth: int, heads: int, kv_heads: int | None = None) -> None:
        """Refuse a decoder of another shape; with `kv_heads`, also masks that part heads which
        share a key and a value (`heads.in_groups` joins them).

        Raises:
            Misuse: heads or layers that do not fit.
        """
        if self.heads and [len(layer) for layer in self.heads] != [heads] * depth:
            given = f"{len(self.heads)} layers of {len(self.heads[0])} heads"
            raise Misuse(f"{given} are masked, the decoder has {depth} of {heads}")
        each = heads // (kv_heads or heads)
        for layer, active in enumerate(self.heads):
            for first in range(0, heads, each):
                if len(set(active[first : first + each])) > 1:
                    raise Misuse(
                        f"heads {first} to {first + each - 1} of layer {layer} share a value, yet "
                        "some of them are active and some are not; give in_groups of the mask"
                    )
        if self.stop is not None and self.stop > depth:
            raise Misuse(f"visual rows cannot stop at layer {self.stop} of {depth}")


def first_heads(
    depth: int, heads: int, active: int, whole: int = 2
) -> tuple[tuple[bool, ...], ...]:
    """A mask of so many active heads a layer, for bills and tests; `whole` layers keep all."""
    some = tuple(head < active for head in range(heads))
    return ((True,) * heads,) * min(whole, depth) + (some,) * (depth - min(whole, depth))
