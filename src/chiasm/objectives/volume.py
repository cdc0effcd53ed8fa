"""GRAM (arXiv 2412.11959): the volume that k modalities' unit vectors span, not their cosines."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

FLOOR = 1e-8
"""Of the determinant: its root has a finite slope there."""


def volume(vectors: Float[Tensor, "*item modality width"]) -> Float[Tensor, "*item"]:
    """sqrt(det(A A^T)) of the rows of A at unit length, in float32: 0 where they depend on each
    other, 1 where they are orthogonal. Neither their order nor their signs matter.
    """
    unit = F.normalize(vectors.float(), dim=-1)
    return _root(unit @ unit.transpose(-1, -2))


def pairwise_volume(
    anchors: Float[Tensor, "query width"], others: Float[Tensor, "item modality width"]
) -> Float[Tensor, "query item"]:
    """The volume of each anchor with each item's own vectors.

    Within an item the Gram matrix is its own; only the anchor's row and column differ.
    """
    anchor = F.normalize(anchors.float(), dim=-1)
    unit = F.normalize(others.float(), dim=-1)
    queries, items, count = len(anchor), len(unit), unit.shape[1]
    gram = anchor.new_ones(queries, items, count + 1, count + 1)
    cosines = torch.einsum("qw,imw->qim", anchor, unit)
    gram[:, :, 0, 1:] = cosines
    gram[:, :, 1:, 0] = cosines
    gram[:, :, 1:, 1:] = unit @ unit.transpose(-1, -2)
    return _root(gram)


def _root(gram: Tensor) -> Tensor:
    return gram.det().abs().clamp(min=FLOOR).sqrt()
