"""Rules between text and media rows."""

from dataclasses import dataclass

from torch import Tensor

from chiasm.stream import Modality, Role, Rule
from chiasm.stream.rule import Side


@dataclass(frozen=True)
class Everything(Rule):
    """Every row sees every other."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return (q.order == q.order) & (k.order == k.order)


@dataclass(frozen=True)
class NotRole(Rule):
    """Rows of one role are seen by nobody but themselves."""

    role: Role

    def permit(self, q: Side, k: Side) -> Tensor:
        return (k.role != int(self.role)) | (k.order == q.order)


@dataclass(frozen=True)
class PrecedingItem(Rule):
    """A row sees the tokens of the last media item that starts before it, and no other's.

    Rows before the first item see nothing (Flamingo, arXiv 2204.14198, section 2.4).
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        return q.item == k.item


@dataclass(frozen=True)
class NamedItems(Rule):
    """A row sees the items that it names: its `item` is a set of them, one bit each, and the
    `item` of a media token is its own bit.
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        return (q.item & k.item) != 0


@dataclass(frozen=True)
class NamedElseEverything(Rule):
    """As `NamedItems`, but a row that names nothing sees everything: how transformers' Mllama masks
    rows without an image, whose softmax would else be over nothing.
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        return ((q.item & k.item) != 0) | (q.item == 0)


@dataclass(frozen=True)
class VisualSeesQuestion(Rule):
    """Media rows also see the user's text after them in the same turn, up to the answer's tag.

    Modality-mutual attention of AKI (arXiv 2503.02597). Two media rows V, question Q, answer A,
    joined with `Causal`:

        V V Q A
        1 . 1 .
        1 1 1 .
        1 1 1 .
        1 1 1 1

    Without a tag no row of the turn is a question (caption pre-training), and the rule is plain
    causal.
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        media = q.modality != int(Modality.TEXT)
        question = (k.modality == int(Modality.TEXT)) & (k.role == int(Role.USER))
        return media & question & (q.turn == k.turn) & (k.order > q.order)
