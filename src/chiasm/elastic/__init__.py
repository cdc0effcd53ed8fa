"""Weight-sharing super-networks, their quantised sub-networks, and the search among them."""

from chiasm.elastic.fronts import Point, dominates, fronts, hypervolume, spread
from chiasm.elastic.int8 import Int8Matrix, calibrated, quantise, weight_bytes
from chiasm.elastic.linas import Linas, architectures_then_int8, linas, proposed
from chiasm.elastic.predictor import Predictor
from chiasm.elastic.space import Gene, Genome, Space
from chiasm.elastic.subnetworks import answers_at, shared, skeleton, sliced, slices, space_of

__all__ = [
    "Gene",
    "Genome",
    "Int8Matrix",
    "Linas",
    "Point",
    "Predictor",
    "Space",
    "answers_at",
    "architectures_then_int8",
    "calibrated",
    "dominates",
    "fronts",
    "hypervolume",
    "linas",
    "proposed",
    "quantise",
    "shared",
    "skeleton",
    "sliced",
    "slices",
    "space_of",
    "spread",
    "weight_bytes",
]
