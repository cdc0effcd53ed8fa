"""Language models that also draw: latents in the sequence, a flow out of it, text beside it."""

from dataclasses import replace

from chiasm.experts import BLOCK, WeightsByGroup
from chiasm.heads import FlowHead
from chiasm.lineages.hosts import NANO
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.objectives import (
    Direction,
    GroupTimes,
    LogitNormalTimes,
    NextToken,
    RectifiedFlow,
    TextAndFlow,
)
from chiasm.positions import OnePerBlock
from chiasm.spec import Latent, Stage, Teaching, derive
from chiasm.spec.slots import NormSite
from chiasm.stream import Modality, Rows
from chiasm.visibility import Causal, DraftsApart, Everything, LatentBlock, Sight, WithinBlock

LATENT = Rows.of(Modality.LATENT)

TWO_SETS = WeightsByGroup(kinds=(~LATENT, LATENT), sites=BLOCK, norms=tuple(NormSite))
"""A mixture of transformers: text and image features, and latents, each with weights of their own
(arXiv 2411.04996)."""

LATENTS_WHOLE = Sight(sequence=(Causal() | LatentBlock()) & DraftsApart(), memory=Everything())
"""Text and image features causal, as a language model that was taught so needs them."""

PIXELS_16 = Latent(height=16, width=16, patch=2)
"""A small picture's pixels, no autoencoder: 64 rows of 12 numbers."""

FLOW_RATE = (("flow", 5.0),)
"""The velocity's matrix starts at zero: with the others' rate it would take hundreds of steps to
reach their size."""

FLUX_1024 = Latent(height=1024, width=1024, patch=2, stride=8, channels=16)
"""FLUX's autoencoder at 1024 pixels: 4096 rows of 64 numbers."""

JOINT = TextAndFlow(
    text=NextToken(),
    flow=RectifiedFlow(times=LogitNormalTimes()),
    text_weight=0.25,
)
"""BAGEL's weights of the two losses."""


def timed(groups: int) -> TextAndFlow:
    """A flow to the picture whose times are drawn one interval a batch (LaTtE-Flow)."""
    flow = RectifiedFlow(direction=Direction.TO_PICTURE, times=GroupTimes(groups))
    return TextAndFlow(text=NextToken(), flow=flow)


DRAWN_FROM_SCRATCH = Teaching(
    objective=JOINT,
    stages=(
        Stage(
            name="scratch",
            trained=("encoder", "connector", "decoder", "head", "experts", "flow"),
            learning_rate=1e-3,
            rates=FLOW_RATE,
            batch=32,
            copies=True,
            unprompted=0.1,
            unseen=0.3,
            clip=1.0,
        ),
    ),
)
"""One stage, everything taught, latents' weights beginning as copies."""


def beside_frozen(objective: TextAndFlow, *, host_share: float) -> Teaching:
    """First the language model alone, where it has still to be learned; then, beside it as it is,
    copies of its layers and the flow's two ends.
    """
    host = Stage(
        name="language",
        trained=("encoder", "connector", "decoder", "head"),
        learning_rate=5e-4,
        share=host_share,
        batch=32,
        clip=5.0,
    )
    drawing = Stage(
        name="drawing",
        trained=("experts", "fusion", "flow"),
        learning_rate=1e-3,
        share=1.0 - host_share,
        rates=FLOW_RATE,
        batch=32,
        copies=True,
        unprompted=0.1,
    )
    return Teaching(objective=objective, stages=(host, drawing) if host_share else (drawing,))


NANO_DRAWING = replace(NANO, depth=4)

DRAWING = derive(
    VISION_LANGUAGE,
    every=dict(
        visibility=Sight(sequence=(Causal() | WithinBlock()) & DraftsApart(), memory=Everything()),
        positions=OnePerBlock(),
        experts=TWO_SETS,
        head=FlowHead(latent=PIXELS_16),
        teaching=DRAWN_FROM_SCRATCH,
    ),
    nano=dict(host=NANO_DRAWING),
    paper=dict(head=FlowHead(latent=FLUX_1024)),
)
"""A vision-language model whose latents have weights of their own."""
