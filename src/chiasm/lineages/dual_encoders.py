"""What adapters of frozen dual encoders share: CLIP's base size, and towers that were taught."""

from typing import Any

from chiasm.data.pixels import CLIP
from chiasm.embedders.stages import LinearHead, Pictures, Sentences, Tower
from chiasm.encoders import TransformersVision
from chiasm.lineages.embedders import (
    AS_IS,
    FIRST,
    LAST,
    MEAN,
    PICTURES,
    WORDS,
    image_tower,
    text_tower,
)
from chiasm.lineages.vision_language import DRAWINGS
from chiasm.spec import Stage
from chiasm.stream import Modality

HEAD = LinearHead(out=512, bias=False)


def vision(
    side: int, patch: int, width: int, depth: int, taps: tuple[int, ...] = (), drop_first: int = 0
) -> TransformersVision:
    """CLIP's picture side, heads of 64: its last layer, or those of `taps`."""
    return TransformersVision(
        model_type="clip_vision_model",
        settings=(
            ("hidden_size", width),
            ("image_size", side),
            ("intermediate_size", 4 * width),
            ("num_attention_heads", width // 64),
            ("num_hidden_layers", depth),
            ("patch_size", patch),
        ),
        taps=taps,
        drop_first=drop_first,
    )


def written(width: int, depth: int, **changes: Any) -> Sentences:
    """CLIP's text side, heads of 64."""
    return Sentences(
        model_type="clip_text_model",
        settings=(
            ("hidden_size", width),
            ("intermediate_size", 4 * width),
            ("num_attention_heads", width // 64),
            ("num_hidden_layers", depth),
            *changes.items(),
        ),
        longest=77,
    )


def pictures(patch: int, *taps: int, drop_first: int = 0) -> Pictures:
    """CLIP ViT-B at 224 pixels; the class token first, unless it is dropped."""
    encoder = vision(224, patch, 768, 12, taps, drop_first)
    return Pictures(encoder=encoder, pixels=CLIP, height=224, width_pixels=224)


CLIP_B_WORDS = written(512, 12)
"""The text side of CLIP ViT-B."""

NANO_CLIP_WORDS = written(64, 2, vocab_size=512)
NANO_CLIP_PICTURES = Pictures(
    encoder=vision(64, 16, 128, 2), pixels=DRAWINGS, height=64, width_pixels=64
)
SMOL_CLIP_WORDS = written(256, 6, vocab_size=4096)
SMOL_CLIP_PICTURES = Pictures(
    encoder=vision(224, 32, 384, 6), pixels=CLIP, height=224, width_pixels=224
)
"""CLIP's two sides at small sizes, learned from nothing."""

CLIP_B_16: tuple[Tower, ...] = (
    text_tower(CLIP_B_WORDS, LAST, HEAD),
    image_tower(pictures(16), FIRST, HEAD),
)
"""CLIP ViT-B/16 with its projections."""


def taught_before(
    *towers: str, rate: float, then: tuple[Stage, ...], batch: int = 64
) -> tuple[Stage, ...]:
    """The towers for the rest of the time before these stages: what stands in for pretraining."""
    share = 1 - sum(stage.share for stage in then)
    first = Stage(
        name="towers", trained=towers, learning_rate=rate, batch=batch, share=share, clip=5.0
    )
    return first, *then


def one_side(name: str, encoder: Any) -> tuple[Tower, ...]:
    """One tower that reads words, a picture, or words that come with one."""
    both = (*WORDS, Modality.DOCUMENT, *PICTURES)
    return (Tower(name=name, reads=both, encoder=encoder, reduce=FIRST, project=AS_IS),)


def over_time(words: Any, frames: Any) -> tuple[Tower, ...]:
    """Towers of words, and of clips by the mean of what their frames give."""
    kinds = (Modality.IMAGE, Modality.VIDEO)
    clips = Tower(name="image", reads=kinds, encoder=frames, reduce=MEAN, project=AS_IS)
    return text_tower(words, FIRST, AS_IS), clips


def new_share(classes: tuple[int, ...]) -> float:
    """|C_t| / sum over i <= t of |C_i|, the last session's share of all classes seen so far; 1 for
    the first (CPE-CLIP, arXiv 2303.04751).
    """
    return classes[-1] / sum(classes)


def class_sessions(*classes: int, rate: float, batch: int, share: float = 1.0) -> tuple[Stage, ...]:
    """One stage a session of new classes, its rate multiplied by their share of those seen."""
    return tuple(
        Stage(
            name=f"session {at + 1}",
            trained=("clip.prompts",),
            learning_rate=rate * new_share(classes[: at + 1]),
            batch=batch,
            share=share / len(classes),
            weight_decay=1e-5,
        )
        for at in range(len(classes))
    )


def spans(*classes: int) -> tuple[tuple[float, float], ...]:
    """Where each session begins and ends among all classes, as shares."""
    total = sum(classes)
    ends = [sum(classes[: at + 1]) / total for at in range(len(classes))]
    return tuple(zip([0.0, *ends[:-1]], ends, strict=True))
