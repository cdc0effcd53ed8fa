"""Rules for pictures inside a causal sequence: whole blocks, and drafts that nobody else reads.

Text T, a picture's draft D (two rows) and its clean copy C (two rows), then text again, under
`(Causal() | WithinBlock()) & DraftsApart()`, query down, key across:

      T D D C C T
    T 1 . . . . .
    D 1 1 1 . . .
    D 1 1 1 . . .
    C 1 . . 1 1 .
    C 1 . . 1 1 .
    T 1 . . 1 1 1
"""

from dataclasses import dataclass

from torch import Tensor

from chiasm.stream import Modality, Role, Rule
from chiasm.stream.rule import Side


def same_block(q: Side, k: Side) -> Tensor:
    """Two rows of one medium, in the same form: features, clean latents or a draft of them."""
    return (q.item == k.item) & (q.modality == k.modality) & (q.role == k.role)


@dataclass(frozen=True)
class WithinBlock(Rule):
    """Media rows of one block see each other in both directions; text rows see nothing by it."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return (q.modality != int(Modality.TEXT)) & same_block(q, k)


@dataclass(frozen=True)
class LatentBlock(Rule):
    """The same for latents only; features of an encoder stay as other rules have them."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return (q.modality == int(Modality.LATENT)) & same_block(q, k)


@dataclass(frozen=True)
class DraftsApart(Rule):
    """A draft is seen by its own block only (BAGEL, arXiv 2505.14683, section 2.3)."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return (k.role != int(Role.DRAFT)) | same_block(q, k)
