"""What embedders share: towers, prompts and ways of being taught, as values."""

from dataclasses import replace
from typing import Any

from chiasm.compression import NoCompression
from chiasm.connectors import NoConnector
from chiasm.data.pixels import CLIP, IMAGENET
from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches, Takes, Task
from chiasm.embedders.stages import (
    Backbone,
    ConvolutionalMap,
    Cosine,
    EveryToken,
    FirstToken,
    LastToken,
    LinearHead,
    ManyVectors,
    MeanToken,
    OneVector,
    Output,
    Pictures,
    Prompt,
    Sentences,
    Summed,
    Tower,
    Unprojected,
)
from chiasm.encoders import EfficientNetLite0, NoEncoder, VisionTransformer
from chiasm.fusion import NoFusion
from chiasm.heads.none import NoHead
from chiasm.lineages.encoders import CLIP_L_224, DINOV2_L, EVA_CLIP_G_224, LAYERED_NANO
from chiasm.lineages.hosts import NANO
from chiasm.lineages.vision_language import DRAWINGS, LITE, VISION_LANGUAGE
from chiasm.spec import NoViews, Scale, Stage, Teaching
from chiasm.spec.embedder import EmbedderAnswers
from chiasm.stream import Modality
from chiasm.visibility import Everything, Sight

WORDS, PICTURES = (Modality.TEXT,), (Modality.IMAGE,)
SUM, COSINE, PLAIN = Summed(), Cosine(), Batches()
EVERY_TOKEN = EveryToken()
FIRST, LAST, MEAN, AS_IS = FirstToken(), LastToken(), MeanToken(), Unprojected()
MANY = Output(reduce=EVERY_TOKEN, project=AS_IS, gives=ManyVectors())
MANY_128 = replace(MANY, project=LinearHead(out=128))
ONE = Output(reduce=EVERY_TOKEN, project=AS_IS, gives=OneVector())
BIDIRECTIONAL = Sight(sequence=Everything(), memory=Everything())

NANO_WORDS = Backbone(
    answers=replace(
        VISION_LANGUAGE[Scale.NANO],
        views=NoViews(),
        encoder=NoEncoder(),
        connector=NoConnector(),
        compression=NoCompression(),
        fusion=NoFusion(),
        visibility=BIDIRECTIONAL,
        head=NoHead(),
        host=replace(NANO, width=96, depth=2, heads=3, kv_heads=3, ff_width=192),
    ),
    prompt=Prompt(longest=48),
)
"""Two bidirectional layers of our own, taught from scratch."""

NANO_PICTURES = Pictures(
    encoder=VisionTransformer(
        patch=16,
        width=96,
        depth=0,
        heads=3,
        ff_width=192,
        stem=(24, 48, 96, 96),
        residual=1,
        position_scale=0.1,
    ),
    pixels=DRAWINGS,
    height=64,
    width_pixels=64,
)
"""A convolutional stem and one residual block: 16 tokens."""

MINILM = Sentences(model_type="bert", weights="minilm-l6", longest=64)
"""Six layers, 384 wide, packaged."""

LITE_PICTURES = Pictures(
    encoder=EfficientNetLite0(level="head"), pixels=LITE, height=224, width_pixels=224
)
"""EfficientNet-Lite0's 1280 channels on a 7 x 7 map, packaged."""

EFFICIENTNET_L2 = Pictures(
    encoder=ConvolutionalMap(
        model_type="align_vision_model",
        width=1376,
        settings=(("width_coefficient", 4.3), ("depth_coefficient", 5.3), ("image_size", 289)),
    ),
    pixels=IMAGENET,
    height=289,
    width_pixels=289,
)
"""ALIGN's picture side at its largest."""

LITE_SMALL = replace(LITE_PICTURES, height=96, width_pixels=96)
"""3 x 3 tokens: what nano embedders read frozen, in a fifth of the time."""

BERT_LARGE = Sentences(
    model_type="bert",
    settings=(
        ("hidden_size", 1024),
        ("num_hidden_layers", 24),
        ("num_attention_heads", 16),
        ("intermediate_size", 4096),
    ),
)
BERT_BASE = Sentences(model_type="bert")

ROBERTA_LARGE = Sentences(
    model_type="roberta",
    settings=(
        ("vocab_size", 50_265),
        ("hidden_size", 1024),
        ("num_hidden_layers", 24),
        ("num_attention_heads", 16),
        ("intermediate_size", 4096),
        ("max_position_embeddings", 514),
    ),
)
DISTILBERT = Sentences(model_type="distilbert")
CLIP_L_WORDS = Sentences(
    model_type="clip_text_model",
    settings=(
        ("hidden_size", 768),
        ("intermediate_size", 3072),
        ("num_attention_heads", 12),
    ),
    longest=77,
)
"""CLIP ViT-L/14's text side."""
CLIP_L_PICTURES = Pictures(
    encoder=replace(CLIP_L_224, taps=(), drop_first=0),
    pixels=CLIP,
    height=224,
    width_pixels=224,
)
"""Its picture side, the class token first."""
DINOV2_PICTURES = Pictures(
    encoder=replace(DINOV2_L, taps=(), drop_first=0),
    pixels=IMAGENET,
    height=224,
    width_pixels=224,
)
"""DINOv2 ViT-L/14, the class token first."""

RESNET_152 = Pictures(
    encoder=ConvolutionalMap(
        model_type="resnet", width=2048, settings=(("depths", (3, 8, 36, 3)),)
    ),
    pixels=IMAGENET,
    height=224,
    width_pixels=224,
)
RESNET_50_PICTURES = replace(RESNET_152, encoder=ConvolutionalMap(model_type="resnet", width=2048))

EVA_PICTURES = Pictures(encoder=EVA_CLIP_G_224, pixels=CLIP, height=224, width_pixels=224)
"""EVA-CLIP ViT-g/14, the class token first."""

NANO_CLASS = replace(NANO_PICTURES, encoder=replace(LAYERED_NANO, class_token=True))
"""Two layers, a class token first."""
CLIP_L_BEFORE_LAST = replace(CLIP_L_PICTURES, encoder=replace(CLIP_L_224, taps=(-2,), drop_first=0))
"""CLIP ViT-L/14 one layer before its last, the class token first: 1 + 256 tokens."""

NANO_LAYERS, MINILM_LAYERS = replace(NANO_WORDS, layers=True), replace(MINILM, layers=True)
CLIP_L_LAYERS = replace(CLIP_L_WORDS, layers=True)
NANO_VIEWS = replace(NANO_PICTURES, encoder=LAYERED_NANO, layers=2)
CLIP_L_VIEWS = replace(
    CLIP_L_PICTURES,
    encoder=replace(CLIP_L_224, taps=tuple(range(2, 25, 2)), drop_first=0),
    layers=12,
)
"""Towers whose layers are read: all of the words', every second of CLIP's 24 of the pictures'."""

TO_BOTH = Task(name="text-to-both", query=(Takes.TEXT,), document=(Takes.PICTURE, Takes.WRITTEN))
BOTH_TO = Task(name="both-to-text", query=(Takes.PICTURE, Takes.WRITTEN), document=(Takes.TEXT,))
"""Documents of two modalities, and queries of two."""
TEXT_TO = Task(name="text-to-text", query=(Takes.TEXT,), document=(Takes.OTHER,))
INSTRUCTED = (
    replace(TEXT_TO_PICTURE, instruction="find a picture of: "),
    replace(PICTURE_TO_TEXT, instruction="find a caption of the picture."),
    replace(TO_BOTH, instruction="find a picture and its words: "),
    replace(BOTH_TO, instruction="find a text about the picture and: "),
)
"""Four tasks, each told apart by its instruction."""

SCRATCH = Stage(
    name="scratch",
    trained=("text", "image", "fusion", "output", "score"),
    learning_rate=1e-3,
    batch=64,
    clip=5.0,
)
"""One stage, everything taught."""

WORDS_LEARN = Stage(
    name="words learn",
    trained=("text", "image.head", "fusion", "output", "score"),
    learning_rate=2e-4,
    batch=64,
)
"""The text side and the heads, beside frozen pictures."""

HEADS = Stage(
    name="heads",
    trained=("text.head", "image.head", "fusion", "output", "score"),
    learning_rate=1e-3,
    batch=64,
)
"""The heads alone, beside frozen encoders."""


def text_tower(encoder: Any, reduce: Any, project: Any) -> Tower:
    return Tower(name="text", reads=WORDS, encoder=encoder, reduce=reduce, project=project)


def image_tower(encoder: Any, reduce: Any, project: Any) -> Tower:
    return Tower(name="image", reads=PICTURES, encoder=encoder, reduce=reduce, project=project)


def clip_tower(encoder: Any, project: Any) -> Tower:
    """Of pictures and films alike."""
    kinds = (Modality.IMAGE, Modality.VIDEO)
    return Tower(name="image", reads=kinds, encoder=encoder, reduce=FIRST, project=project)


NANO_TOWERS = (
    text_tower(NANO_WORDS, LAST, LinearHead(out=96)),
    image_tower(NANO_PICTURES, MEAN, AS_IS),
)
SMOL_TOWERS = (
    text_tower(MINILM, FIRST, LinearHead(out=1280)),
    image_tower(LITE_PICTURES, MEAN, AS_IS),
)
"""As ALIGN has them: pictures as they are, words mapped to their width."""


def two_towers(
    paper: tuple[Tower, ...],
    *,
    objective: Any,
    stages: tuple[Stage, ...],
    small: Any = None,
    nano: tuple[Tower, ...] = NANO_TOWERS,
    smol: tuple[Tower, ...] = SMOL_TOWERS,
    nano_stages: tuple[Stage, ...] = (SCRATCH,),
    smol_stages: tuple[Stage, ...] = (WORDS_LEARN,),
    batches: Batches = PLAIN,
    small_batches: Batches | None = None,
    fuse: Any = SUM,
    fuses: tuple[Any, ...] = (),
    small_outputs: tuple[Output, ...] | None = None,
    outputs: tuple[Output, ...] = (ONE,),
    score: Any = COSINE,
    scores: tuple[Any, ...] = (),
) -> dict[Scale, EmbedderAnswers]:
    """Towers of their own for words and pictures. `small` is taught at nano and smol, in
    `small_batches`, where `small_outputs` come out; None: as at paper scale. `fuses` and `scores`
    are of the scales; none: `fuse` and `score`.
    """
    softer = objective if small is None else small
    fewer = replace(batches if small_batches is None else small_batches, chunk=None)
    held = {
        Scale.NANO: (nano, Teaching(objective=softer, stages=nano_stages)),
        Scale.SMOL: (smol, Teaching(objective=softer, stages=smol_stages)),
        Scale.PAPER: (paper, Teaching(objective=objective, stages=stages)),
    }
    return {
        scale: EmbedderAnswers(
            encode=encode,
            fuse=dict(zip(Scale, fuses, strict=True))[scale] if fuses else fuse,
            outputs=outputs if scale is Scale.PAPER else small_outputs or outputs,
            score=dict(zip(Scale, scores, strict=True))[scale] if scores else score,
            teaching=teaching,
            batches=batches if scale is Scale.PAPER else fewer,
        )
        for scale, (encode, teaching) in held.items()
    }


def three(
    words: Any, pictures: Any, of_words: Any, of_pictures: Any, out: int
) -> tuple[Tower, ...]:
    """Towers of one width for words, pictures, and words that come with a picture."""
    head = LinearHead(out=out, bias=False)
    told = (Modality.DOCUMENT, Modality.SPEECH)
    return (
        text_tower(words, of_words, head),
        image_tower(pictures, of_pictures, head),
        Tower(name="told", reads=told, encoder=words, reduce=of_words, project=head),
    )


def told(tower: Tower) -> Tower:
    """The tower of words, reading words that come with a picture too."""
    return replace(tower, reads=(Modality.TEXT, Modality.DOCUMENT, Modality.SPEECH))


def whole(words: Any, pictures: Any) -> tuple[Tower, ...]:
    """Two towers that keep every token."""
    every = EVERY_TOKEN
    return told(text_tower(words, every, AS_IS)), image_tower(pictures, every, AS_IS)
