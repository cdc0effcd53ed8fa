"""What can be chosen of a super-network: depth, heads and hidden units by layer, bits by matrix."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

import numpy as np
from jaxtyping import Float

from chiasm.errors import Misuse

Genome = tuple[int, ...]
"""A value for each gene of a space; 0 for genes of layers that the sub-network does not have."""


@dataclass(frozen=True)
class Gene:
    """One choice. `layer` is None where it does not belong to one."""

    name: str
    choices: tuple[int, ...]
    layer: int | None = None


@dataclass(frozen=True, kw_only=True)
class Space:
    """Every sub-network of a super-network, and the bits of each of its matrices.

    A genome holds the depth, then heads and hidden units by layer, then bits by matrix.
    """

    depths: tuple[int, ...]
    heads: tuple[int, ...]
    hidden: tuple[int, ...]
    matrices: tuple[tuple[str, int | None], ...]
    """Name and layer of every matrix that can be quantised."""
    bits: tuple[int, ...] = (8, 32)

    def __post_init__(self) -> None:
        for name in ("depths", "heads", "hidden", "bits"):
            choices = getattr(self, name)
            if not choices or min(choices) < 1 or list(choices) != sorted(set(choices)):
                raise Misuse(f"{name} {choices} are no choices; give growing numbers above 0")

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        layers = range(self.depths[-1])
        return (
            Gene("depth", self.depths),
            *(Gene(f"heads {layer}", self.heads, layer) for layer in layers),
            *(Gene(f"hidden {layer}", self.hidden, layer) for layer in layers),
            *(Gene(f"bits {name}", self.bits, layer) for name, layer in self.matrices),
        )

    def only(self, bits: int) -> "Space":
        """The same architectures, every matrix of so many bits."""
        return replace(self, bits=(bits,))

    def canonical(self, values: Sequence[int]) -> Genome:
        """The genome of these values, of which those of absent layers are 0.

        Raises:
            Misuse: another number of values than genes, or a value that is no choice.
        """
        if len(values) != len(self.genes):
            raise Misuse(f"{len(values)} values given for {len(self.genes)} genes")
        depth, found = values[0], []
        for gene, value in zip(self.genes, values, strict=True):
            here = gene.layer is None or gene.layer < depth
            if here and value not in gene.choices:
                raise Misuse(f"gene {gene.name!r} is {value}; choose {gene.choices}")
            found.append(value if here else 0)
        return tuple(found)

    def maximal(self) -> Genome:
        """The super-network, nothing quantised below the most bits."""
        return tuple(gene.choices[-1] for gene in self.genes)

    def random(self, draw: Random) -> Genome:
        """Every gene evenly."""
        return self.canonical([draw.choice(gene.choices) for gene in self.genes])

    def architecture(self, genome: Genome) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Depth, and heads and hidden units of its layers."""
        most, depth = self.depths[-1], genome[0]
        return depth, genome[1 : 1 + depth], genome[1 + most : 1 + most + depth]

    def bits_of(self, genome: Genome) -> dict[str, int]:
        """Bits by matrix, of the matrices that the sub-network has."""
        first = 1 + 2 * self.depths[-1]
        named = zip(self.matrices, genome[first:], strict=True)
        return {name: bits for (name, _), bits in named if bits}

    def with_bits(self, genome: Genome, bits: int) -> Genome:
        """The genome's architecture with every matrix of so many bits."""
        first = 1 + 2 * self.depths[-1]
        return (*genome[:first], *(bits if value else 0 for value in genome[first:]))

    def one_hot(self, genomes: Iterable[Genome]) -> Float[np.ndarray, "genome column"]:
        """A column for each choice of each gene, all zero where a gene is absent.

        A gene of one choice tells only whether its layer is there, as others of the layer do, and
        has no column.
        """
        columns = [
            (at, choice)
            for at, gene in enumerate(self.genes)
            if len(gene.choices) > 1
            for choice in gene.choices
        ]
        return np.array([[float(one[at] == choice) for at, choice in columns] for one in genomes])
