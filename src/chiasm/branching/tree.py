"""A branched network's shape: which tasks share the block of each layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from chiasm.branching.partitions import Partition, induced, meet, refines
from chiasm.errors import Misuse


@dataclass(frozen=True)
class Tree:
    """The partition of the tasks at every layer, each refining the one before."""

    layers: tuple[Partition, ...]

    def __post_init__(self) -> None:
        for at, (coarse, fine) in enumerate(zip(self.layers, self.layers[1:], strict=False), 1):
            if not refines(fine, coarse):
                raise Misuse(
                    f"layer {at} groups tasks as {fine}, layer {at - 1} as {coarse}: branches "
                    "cannot merge again; group only tasks that still share"
                )

    @classmethod
    def of(cls, alpha: Float[Tensor, "layer task copy"]) -> "Tree":
        """Each task's likeliest copy; each layer's groups intersected with those before."""
        found: list[Partition] = []
        before: Partition = (0,) * alpha.shape[1]
        for choices in alpha.argmax(-1).tolist():
            before = meet(before, induced(choices))
            found.append(before)
        return cls(tuple(found))

    @classmethod
    def shared(cls, layers: int, tasks: int) -> "Tree":
        """One encoder for all tasks."""
        return cls(((0,) * tasks,) * layers)

    @classmethod
    def apart(cls, layers: int, tasks: int) -> "Tree":
        """An encoder a task."""
        return cls((tuple(range(tasks)),) * layers)

    @property
    def branches(self) -> tuple[int, ...]:
        """Blocks of each layer; never fewer than of the layer before."""
        return tuple(len(set(layer)) for layer in self.layers)

    def cost(self, flops: Sequence[float]) -> float:
        """FLOPs of all blocks, given those of one block of each layer."""
        return sum(count * each for count, each in zip(self.branches, flops, strict=True))

    def together(self, one: int, other: int) -> int:
        """How many layers two tasks share, from the first on."""
        return sum(layer[one] == layer[other] for layer in self.layers)
