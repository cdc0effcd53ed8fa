"""The plain vision-language model: encoder, MLP, tokens in the sequence, causal, text out."""

from dataclasses import replace

from chiasm.compression import NoCompression
from chiasm.connectors import MLP
from chiasm.data.pixels import LLAVA, Pixels
from chiasm.encoders import EfficientNetLite0, VisionTransformer
from chiasm.experts import SharedWeights
from chiasm.fusion import InSequence
from chiasm.heads import TextHead
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.hosts import NANO, SMOLLM2_135M, VICUNA_7B
from chiasm.objectives import NextToken
from chiasm.positions import Sequential
from chiasm.spec import Answers, Fixed, Scale, Stage, Teaching
from chiasm.visibility import Causal, Everything, Sight

SCRATCH = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="scratch",
            trained=("encoder", "connector", "fusion", "tower", "experts", "decoder", "head"),
            learning_rate=5e-4,
            batch=16,
            questions=6,
            clip=5.0,
        ),
    ),
)
"""One stage, everything taught: what a nano model needs."""

ADAPTED = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="alignment", trained=("connector", "fusion"), learning_rate=1e-3, share=0.3),
        Stage(
            name="adaptation",
            trained=("connector", "fusion", "tower", "experts", "decoder", "head"),
            learning_rate=1e-4,
            share=0.7,
        ),
    ),
)
"""The new parts first, then they and the host, beside a frozen encoder."""

LLAVA_1_5 = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="alignment",
            trained=("connector", "fusion"),
            learning_rate=1e-3,
            share=558 / (558 + 665),
            batch=256,
            warmup=0.03,
            betas=(0.9, 0.999),
        ),
        Stage(
            name="instruction",
            trained=("connector", "fusion", "tower", "experts", "decoder", "head"),
            learning_rate=2e-5,
            share=665 / (558 + 665),
            batch=128,
            warmup=0.03,
            betas=(0.9, 0.999),
        ),
    ),
)
"""558K captions, then 665K conversations, one epoch each; the encoder is frozen."""

LITE = Pixels(mean=(127 / 255, 127 / 255, 127 / 255), std=(128 / 255, 128 / 255, 128 / 255))
"""What TensorFlow taught the Lite models with, (value - 127) / 128; the whole picture, squashed."""

DRAWINGS = Pixels(mean=(0.9, 0.9, 0.9), std=(0.2, 0.2, 0.2))
"""Drawings on a light ground: the ground comes near zero, as a convolution's padding is."""

_NANO = Answers(
    views=Fixed(64, 64),
    pixels=DRAWINGS,
    encoder=VisionTransformer(
        patch=16,
        width=128,
        depth=0,
        heads=4,
        ff_width=256,
        stem=(32, 64, 128, 128),
        residual=1,
        position_scale=0.1,
    ),
    connector=MLP(),
    fusion=InSequence(),
    visibility=Sight(sequence=Causal(), memory=Everything()),
    positions=Sequential(),
    experts=SharedWeights(),
    compression=NoCompression(),
    head=TextHead(),
    teaching=SCRATCH,
    host=NANO,
    template="nano",
)

VISION_LANGUAGE = {
    Scale.NANO: _NANO,
    Scale.SMOL: replace(
        _NANO,
        views=Fixed(224, 224),
        pixels=LITE,
        encoder=EfficientNetLite0(),
        teaching=ADAPTED,
        host=SMOLLM2_135M,
        template="chatml",
    ),
    Scale.PAPER: replace(
        _NANO,
        views=Fixed(336, 336),
        pixels=LLAVA,
        encoder=CLIP_L_336,
        teaching=LLAVA_1_5,
        host=VICUNA_7B,
        template="vicuna",
    ),
}
"""LLaVA-1.5 (arXiv 2310.03744) at its own size, from packaged parts, and from scratch."""
