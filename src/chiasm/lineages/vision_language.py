"""The plain vision-language model: encoder, MLP, tokens in the sequence, causal, text out."""

from chiasm.compression import NoCompression
from chiasm.connectors import MLP
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import VisionTransformer
from chiasm.experts import SharedWeights
from chiasm.fusion import InSequence
from chiasm.heads import TextHead
from chiasm.lineages.hosts import NANO
from chiasm.objectives import NextToken
from chiasm.spec import Answers, Fixed, Scale, Stage, Teaching
from chiasm.visibility import Causal, Everything, Sight

SCRATCH = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="scratch",
            trained=("encoder", "connector", "fusion", "decoder", "head"),
            learning_rate=2e-3,
            batch=16,
        ),
    ),
)
"""One stage, everything taught: what a nano model needs."""

VISION_LANGUAGE = {
    Scale.NANO: Answers(
        views=Fixed(64, 64),
        pixels=SIGLIP,
        encoder=VisionTransformer(
            patch=8, width=128, depth=1, heads=4, ff_width=256, stem=(32, 64, 128)
        ),
        connector=MLP(),
        fusion=InSequence(),
        visibility=Sight(sequence=Causal(), memory=Everything()),
        experts=SharedWeights(),
        compression=NoCompression(),
        head=TextHead(),
        teaching=SCRATCH,
        host=NANO,
        template="nano",
    ),
}
