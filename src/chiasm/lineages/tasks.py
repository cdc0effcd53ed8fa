"""Answers to question 5 that tell tasks apart."""

from chiasm.experts import AdaptedWeights, TaskLoRA
from chiasm.spec.slots import Site
from chiasm.stream import Modality, Rows

DRAWING = Rows.of(Modality.LATENT)


def understanding_and_drawing(*, dropout: float) -> AdaptedWeights:
    """A low-rank pair a task beside every mixer's projection in (OmniMamba, arXiv 2503.08686): a
    sample with latent rows is drawn, any other understood.
    """
    adapter = TaskLoRA(
        sites=(Site.MIXER_IN,), tasks=(~DRAWING, DRAWING), rank=8, alpha=32, dropout=dropout
    )
    return AdaptedWeights((adapter,))
