"""A of the law of vision representation: how near a model's picture tokens are to a reference's."""

from collections.abc import Sequence
from statistics import fmean

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.inspection.encoding import encoded
from chiasm.inspection.subject import Subject


def nearest(
    tokens: Float[Tensor, "picture token width"], reference: Float[Tensor, "picture other width"]
) -> Float[Tensor, "picture token"]:
    """Each token's largest cosine with any reference token of the same picture.

    Raises:
        Misuse: other pictures, or another width.
    """
    if len(tokens) != len(reference) or tokens.shape[-1] != reference.shape[-1]:
        raise Misuse(
            f"{len(tokens)} pictures of width {tokens.shape[-1]} against {len(reference)} of "
            f"{reference.shape[-1]}; compare the same pictures in one language model's space"
        )
    unit, other = (F.normalize(one.double(), dim=-1) for one in (tokens, reference))
    return (unit @ other.mT).amax(-1)


def alignment(tokens: Tensor, references: Sequence[Tensor]) -> float:
    """A: the mean over tokens and pictures of `nearest`, averaged over the references."""
    if not references:
        raise Misuse("no reference given; A needs one or more")
    return fmean(float(nearest(tokens, one).mean()) for one in references)


def picture_tokens(subject: Subject) -> Float[Tensor, "picture token width"]:
    """What the language model is given of each question's picture, behind the connector.

    Raises:
        Misuse: every layer has a projector of its own, so that there is no one space.
    """
    found: list[Tensor] = []
    for asked in subject.batches():
        connected = encoded(subject.model, asked.inputs).connected
        if connected is None:
            raise Misuse("A needs tokens behind one connector; this model has none that all share")
        found.append(connected.cpu())
    return torch.cat(found)
