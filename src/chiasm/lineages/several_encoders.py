"""Several encoders of one picture, at three scales: what Eagle and Cambrian-1 put side by side."""

from dataclasses import replace

from chiasm.data.pixels import CLIP
from chiasm.encoders import (
    ChannelConcat,
    ConvNeXt,
    EfficientNetLite0,
    Resampled,
    SideMaps,
    TransformersVision,
    VisionTransformer,
)
from chiasm.lineages.encoders import CLIP_L_336, SIGLIP_SO400M_384
from chiasm.lineages.vision_language import DRAWINGS, LITE, VISION_LANGUAGE
from chiasm.spec import Encoder, Scale

_OPENAI = CLIP.mean, CLIP.std
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_DRAWN = DRAWINGS.mean, DRAWINGS.std
_LITE = LITE.mean, LITE.std

COARSE_NANO = VISION_LANGUAGE[Scale.NANO].encoder
FINE_NANO = VisionTransformer(
    patch=8, width=128, depth=0, heads=4, ff_width=256, stem=(32, 64, 128), position_scale=0.1
)
"""Patches of 8 pixels beside the plain model's of 16."""
BROAD_NANO = VisionTransformer(
    patch=32, width=128, depth=1, heads=4, ff_width=256, stem=(32, 64, 64, 128, 128)
)
"""Patches of 32 pixels, which see each other."""

CONVNEXT_XXL = ConvNeXt(depths=(3, 4, 30, 3), widths=(384, 768, 1536, 3072))
"""OpenCLIP's ConvNeXt-XXLarge, 846 million parameters."""

DINOV2_G = TransformersVision(
    model_type="dinov2",
    settings=(
        ("hidden_size", 1536),
        ("image_size", 518),
        ("num_attention_heads", 24),
        ("num_hidden_layers", 40),
        ("patch_size", 14),
        ("use_swiglu_ffn", True),
    ),
    taps=(-1,),
)


def _clip_blocks(width: int, depth: int, side: int, patch: int) -> TransformersVision:
    """A vision transformer in CLIP's blocks, heads 64 wide."""
    settings = dict(
        hidden_size=width,
        image_size=side,
        intermediate_size=4 * width,
        num_attention_heads=width // 64,
        num_hidden_layers=depth,
        patch_size=patch,
    )
    return TransformersVision(
        model_type="clip_vision_model", settings=tuple(sorted(settings.items())), taps=(-1,)
    )


CLIP_L_448 = replace(_clip_blocks(1024, 24, 448, 14), taps=(-2,))
SAM_L = _clip_blocks(1024, 24, 1024, 16)
EVA_02_L = _clip_blocks(1024, 24, 1024, 16)
PIX2STRUCT_L = _clip_blocks(1536, 18, 1024, 32)
"""Sizes of the published ones; SAM's windows and EVA-02's gated feed-forward are left out, and
Pix2Struct reads 32 x 32 patches of a square picture."""


def _at(side: int, cells: int, each: Encoder, unshuffle: int = 1) -> Resampled:
    """What an encoder makes of a picture of `side` pixels, on a square of `cells`."""
    return Resampled(each=each, pixels=(side, side), cells=(cells, cells), unshuffle=unshuffle)


EAGLE_PARTS = (
    _at(448, 32, CLIP_L_448),
    _at(1024, 32, CONVNEXT_XXL),
    _at(1024, 32, SAM_L, unshuffle=2),
    _at(1024, 32, EVA_02_L),
    _at(1024, 32, PIX2STRUCT_L),
)
CAMBRIAN_PARTS = (
    _at(336, 24, CLIP_L_336),
    _at(384, 24, SIGLIP_SO400M_384),
    _at(378, 24, DINOV2_G),
    _at(1024, 96, CONVNEXT_XXL),
)
SMOL_PARTS = (
    _at(224, 7, EfficientNetLite0()),
    _at(448, 7, EfficientNetLite0(), unshuffle=2),
)
"""The packaged network twice, at 224 and at 448 pixels, whose 14 x 14 places join by fours."""

NANO_CHANNELS = ChannelConcat(
    parts=(
        Resampled(each=COARSE_NANO, cells=(4, 4)),
        Resampled(each=FINE_NANO, cells=(4, 4)),
    ),
    given=_DRAWN,
    moments=(_DRAWN, _DRAWN),
)
SMOL_CHANNELS = ChannelConcat(parts=SMOL_PARTS, given=_LITE, moments=(_LITE, _LITE))
PAPER_CHANNELS = ChannelConcat(
    parts=EAGLE_PARTS,
    given=_OPENAI,
    moments=(_OPENAI, _OPENAI, _IMAGENET, _OPENAI, _HALF),
)

NANO_MAPS = SideMaps(
    parts=(
        Resampled(each=COARSE_NANO, cells=(4, 4)),
        Resampled(each=FINE_NANO, cells=(8, 8)),
    ),
    given=_DRAWN,
    moments=(_DRAWN, _DRAWN),
)
SMOL_MAPS = SideMaps(
    parts=(_at(224, 7, EfficientNetLite0()), _at(448, 14, EfficientNetLite0())),
    given=_LITE,
    moments=(_LITE, _LITE),
)
PAPER_MAPS = SideMaps(
    parts=CAMBRIAN_PARTS, given=_OPENAI, moments=(_OPENAI, _HALF, _IMAGENET, _OPENAI)
)

DETAIL_CHANNELS = ChannelConcat(
    parts=(
        _at(336, 24, CLIP_L_336),
        _at(768, 24, ConvNeXt(depths=(3, 3, 27, 3), widths=(192, 384, 768, 1536))),
    ),
    given=_OPENAI,
    moments=(_OPENAI, _OPENAI),
)
"""CLIP ViT-L/14 at 336 pixels and CLIP's ConvNeXt-L at 768, whose map has as many places."""

NANO_ROUTED = ChannelConcat(
    parts=(
        Resampled(each=COARSE_NANO, cells=(4, 4)),
        Resampled(each=FINE_NANO, cells=(4, 4)),
        Resampled(each=BROAD_NANO, cells=(4, 4)),
    ),
    given=_DRAWN,
    moments=(_DRAWN,) * 3,
)
SMOL_ROUTED = ChannelConcat(
    parts=(*SMOL_PARTS, _at(112, 7, EfficientNetLite0())), given=_LITE, moments=(_LITE,) * 3
)
PAPER_ROUTED = ChannelConcat(
    parts=(
        _at(336, 24, CLIP_L_336),
        _at(384, 24, SIGLIP_SO400M_384),
        _at(378, 24, DINOV2_G),
        _at(1024, 24, CONVNEXT_XXL),
        _at(1024, 24, SAM_L),
        _at(1024, 24, EVA_02_L),
        _at(1024, 24, PIX2STRUCT_L),
    ),
    given=_OPENAI,
    moments=(_OPENAI, _HALF, _IMAGENET, _OPENAI, _IMAGENET, _OPENAI, _HALF),
)
"""Seven, as many as MoVA's experts, for a connector that weighs them."""
