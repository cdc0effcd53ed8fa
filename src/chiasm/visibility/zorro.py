"""Zorro's rule: every modality keeps to itself, fusion rows see all, nobody sees them."""

from dataclasses import dataclass

from torch import Tensor

from chiasm.stream import Modality, Role, Rule
from chiasm.stream.rule import Side


@dataclass(frozen=True)
class Pure(Rule):
    """A row sees the rows of its own modality; learned (fusion) rows see every row (arXiv
    2301.09595, section 3.2).

    Text t, fusion f, image i, and an answer a that is generated from all of them:

            t f i a
        t   1 . . .
        f   1 1 1 .
        i   . . 1 .
        a   1 1 1 1

    Answers (and the tag that opens them) stand for a read-out: they see everything before them, and
    nobody sees them but later answers.
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        learned, tag = int(Modality.LEARNED), int(Role.TAG)
        answering, answered = (side.role >= tag for side in (q, k))
        own = q.modality == k.modality
        prompt = ~answered & (own | (q.modality == learned) | answering)
        return prompt | (answering & answered & (k.order <= q.order))
