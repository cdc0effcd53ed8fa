"""Published vision encoders, as values."""

from dataclasses import replace

from chiasm.connectors import PatchEmbedding
from chiasm.encoders import (
    ChannelConcat,
    Levels,
    RawPatches,
    RotaryViT,
    TransformersVision,
    VisionTransformer,
    WithResampler,
)

CLIP_L_336 = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_size", 1024),
        ("image_size", 336),
        ("intermediate_size", 4096),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 24),
        ("patch_size", 14),
    ),
    taps=(-2,),
)
"""CLIP ViT-L/14 at 336 pixels, read one layer before the last, without the class token."""

CLIP_L_224 = replace(
    CLIP_L_336,
    settings=tuple(
        (name, 224 if name == "image_size" else value) for name, value in CLIP_L_336.settings
    ),
)
"""The same at 224 pixels."""

INTERN_VIT_300M_448 = replace(
    CLIP_L_336,
    settings=tuple(
        (name, 448 if name == "image_size" else value) for name, value in CLIP_L_336.settings
    ),
    taps=(-1,),
)
"""InternViT-300M's sizes in CLIP's blocks, its last layer: 32 x 32 tokens; its layer scale is left
out, CLIP's norm before the layers is extra."""

SIGLIP_SO400M_384 = TransformersVision(
    model_type="siglip_vision_model",
    settings=(
        ("hidden_size", 1152),
        ("image_size", 384),
        ("intermediate_size", 4304),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 27),
        ("patch_size", 14),
    ),
    taps=(),
)
"""SigLIP SO400M/14 at 384 pixels, its final output: 27 x 27 tokens."""

SIGLIP_SO400M_448 = replace(
    SIGLIP_SO400M_384,
    settings=tuple(
        (name, 448 if name == "image_size" else value) for name, value in SIGLIP_SO400M_384.settings
    ),
)
"""The same at 448 pixels: 32 x 32 tokens."""

SIGLIP_SO400M_980 = TransformersVision(
    model_type="idefics2_vision",
    settings=(
        ("hidden_size", 1152),
        ("image_size", 980),
        ("intermediate_size", 4304),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 27),
        ("patch_size", 14),
    ),
    taps=(),
)
"""The same at native resolution up to 980 pixels, as Idefics2 runs it."""

DINOV2_L = TransformersVision(
    model_type="dinov2",
    settings=(
        ("hidden_size", 1024),
        ("image_size", 518),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 24),
        ("patch_size", 14),
    ),
    taps=(-2,),
)
"""DINOv2 ViT-L/14, read one layer before the last; its positions are fitted to other sizes."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

DINO_SIGLIP_384 = ChannelConcat(
    parts=(DINOV2_L, replace(SIGLIP_SO400M_384, taps=(-2,))),
    given=_HALF,
    moments=(_IMAGENET, _HALF),
)
"""DINOv2-L beside SigLIP SO400M at 384 pixels (Prismatic VLMs, arXiv 2402.07865): 729 tokens of
2176, from pixels normalised as SigLIP's are."""

LAYERED_NANO = VisionTransformer(
    patch=16, width=64, depth=2, heads=4, ff_width=128, stem=(32, 64, 64, 64), position_scale=0.1
)
"""A few layers on a convolutional stem, learned from nothing: for connectors that read layers."""

LAYERED_SMOL = VisionTransformer(patch=16, width=384, depth=6, heads=6, ff_width=1536)
"""The same without a stem, at ViT-S's width."""

INTERN_VIT_6B_448 = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_size", 3200),
        ("image_size", 448),
        ("intermediate_size", 12_800),
        ("num_attention_heads", 25),
        ("num_hidden_layers", 45),
        ("patch_size", 14),
    ),
    taps=(-1,),
)
"""InternViT-6B's sizes in CLIP's blocks: 32 x 32 tokens; its layer scale and norms of queries and
keys, a few thousand numbers a layer, are left out."""

EVA_CLIP_G_224 = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_act", "gelu"),
        ("hidden_size", 1408),
        ("image_size", 224),
        ("intermediate_size", 6144),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 39),
        ("patch_size", 14),
    ),
    taps=(),
    drop_first=0,
)
"""EVA-CLIP ViT-g/14 without its last layer, as BLIP-2 reads it, in CLIP's blocks: 256 tokens of
patches behind the class token. CLIP's first norm is not EVA's; keys here have biases."""

VIT_B_CLASSES = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_size", 768),
        ("image_size", 224),
        ("intermediate_size", 3072),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 12),
        ("patch_size", 16),
    ),
    taps=(-6, -5, -4, -3, -2, -1),
    drop_first=0,
)
"""ViT-B/16 in CLIP's blocks: the last six layers side by side, the class token first."""

CLASSES_NANO = Levels(base=replace(LAYERED_NANO, class_token=True), taps=(1, 2))
CLASSES_SMOL = Levels(base=replace(LAYERED_SMOL, class_token=True), taps=(1, 2, 3, 4, 5, 6))
"""Every layer of the small ones, with a class token."""

SIGLIP_B_384 = TransformersVision(
    model_type="siglip_vision_model",
    settings=(
        ("hidden_size", 768),
        ("image_size", 384),
        ("intermediate_size", 3072),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 12),
        ("patch_size", 16),
    ),
    taps=(-2,),
)
"""SigLIP-B/16 at 384 pixels, read one layer before the last: 24 x 24 tokens."""

CLIP_B_224 = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_size", 768),
        ("image_size", 224),
        ("intermediate_size", 3072),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 12),
        ("patch_size", 16),
    ),
    taps=(-1,),
)
"""CLIP ViT-B/16 at 224 pixels, its last layer: 14 x 14 tokens."""

CLIP_L_CLASS = replace(CLIP_L_224, taps=(-1,), drop_first=0)
"""CLIP ViT-L/14 at 224 pixels, its last layer, the class token before the 256 patches."""

CLIP_L_LOWER_HALF = replace(
    CLIP_L_336,
    settings=tuple(
        (name, 12 if name == "num_hidden_layers" else value) for name, value in CLIP_L_336.settings
    ),
    taps=(-1,),
    drop_first=0,
)
"""The first twelve of CLIP-L's 24 layers at 336 pixels, the class token first."""

EVA_CLIP_E_448 = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_act", "gelu"),
        ("hidden_size", 1792),
        ("image_size", 448),
        ("intermediate_size", 15_360),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 64),
        ("patch_size", 14),
    ),
    taps=(-1,),
)
"""EVA-CLIP-E/14's sizes in CLIP's blocks, its positions stretched to 448 pixels: 4.4 billion."""

VIT_BIG_G_448 = VisionTransformer(patch=14, width=1664, depth=48, heads=16, ff_width=8192)
"""ViT-bigG/14's sizes, as Qwen-VL has it: 32 x 32 tokens at 448 pixels; fixed positions in place
of its learned ones."""

SIGLIP_SO400M_364 = replace(
    SIGLIP_SO400M_384,
    settings=tuple(
        (name, 364 if name == "image_size" else value) for name, value in SIGLIP_SO400M_384.settings
    ),
)
"""SigLIP SO400M/14 at 364 pixels: 26 x 26 tokens."""

SMOLVLM_SO400M_384 = replace(SIGLIP_SO400M_384, model_type="smolvlm_vision")
"""The same network at 384 pixels, as SmolVLM-2.2B runs it: 27 x 27 tokens."""

SMOLVLM_B_512 = TransformersVision(
    model_type="smolvlm_vision",
    settings=(
        ("hidden_size", 768),
        ("image_size", 512),
        ("intermediate_size", 3072),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 12),
        ("patch_size", 16),
    ),
    taps=(),
)
"""SigLIP B/16 at 512 pixels, as the smaller SmolVLM run it: 32 x 32 tokens."""

DFN_H_378 = TransformersVision(
    model_type="clip_vision_model",
    settings=(
        ("hidden_size", 1280),
        ("image_size", 378),
        ("intermediate_size", 5120),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 32),
        ("patch_size", 14),
    ),
    taps=(-1,),
)
"""DFN's CLIP ViT-H/14, its last layer; positions stretch to other sizes."""

PIXTRAL_VIT = RotaryViT(patch=16, hidden=1024, depth=24, heads=16, ff_width=4096)
"""Pixtral's vision encoder, 0.4 billion parameters."""

BEIT_3_PATCHES_448 = WithResampler(
    encoder=RawPatches(patch=16), resampler=PatchEmbedding(side=(28, 28)), width=1024
)
"""What BEiT-3-L reads of a picture of 448 pixels: a class token and 28 x 28 patches with their
places, before any layer."""
