"""Frozen encoders side by side, with linear layers behind them, at three scales."""

from dataclasses import replace

from chiasm.connectors import ClassTokens, RawFeatures
from chiasm.data.pixels import CLIP
from chiasm.encoders import EfficientNetLite0
from chiasm.fusion import JoinedFeatures
from chiasm.heads import GatedAnswers
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.single_stream import VIT_B
from chiasm.lineages.vision_language import LITE, VISION_LANGUAGE
from chiasm.objectives import NextToken
from chiasm.spec import Stage, Teaching, derive

INNER = 512
CLIP_L_WORDS = replace(
    VIT_B, vocabulary=49_408, norm_eps=1e-5, activation="quick_gelu", max_positions=77
)
"""The text side of CLIP ViT-L/14."""


def linear_layers(*, learning_rate: float, batch: int, weight_decay: float = 0.0) -> Teaching:
    """One stage: all but the encoders."""
    stage = Stage(
        name="linear layers",
        trained=("fusion", "head"),
        learning_rate=learning_rate,
        batch=batch,
        questions=6,
        weight_decay=weight_decay,
    )
    return Teaching(objective=NextToken(), stages=(stage,))


JOINED = derive(
    VISION_LANGUAGE,
    every=dict(
        encoder=EfficientNetLite0(level="head"),
        connector=RawFeatures(),
        fusion=JoinedFeatures(features=1280, inner=INNER),
        head=GatedAnswers(inner=INNER),
        teaching=linear_layers(learning_rate=1e-3, batch=32),
    ),
    nano=dict(pixels=LITE, teaching=linear_layers(learning_rate=2e-3, batch=16)),
    paper=dict(
        pixels=CLIP,
        encoder=replace(CLIP_L_336, taps=(), drop_first=0),
        connector=ClassTokens(levels=1),
        fusion=JoinedFeatures(features=768, inner=INNER),
        head=GatedAnswers(inner=INNER, answers=5_726),
        teaching=linear_layers(learning_rate=5e-4, batch=64),
        host=CLIP_L_WORDS,
        template="chatml",
    ),
)
"""CLIP at its own size; packaged encoders of pictures, beside a packaged language model that stays
as it is, and beside one as it was drawn.
"""
