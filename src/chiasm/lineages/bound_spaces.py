"""OmniBind's experts as values: what packages give at nano and smol, the published ones."""

from dataclasses import replace
from typing import Any

from chiasm.data.pixels import CLIP, SIGLIP
from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches, Takes, Task
from chiasm.embedders.stages import LinearHead, MLPHead, Pictures, Sentences, Tower
from chiasm.embedders.stages.binding import Bind
from chiasm.embedders.stages.bound import BoundSpaces, Router, Space
from chiasm.embedders.stages.colours import NamedColours, PictureColours
from chiasm.embedders.stages.named_classes import NamedClasses
from chiasm.embedders.stages.spelling import Spelling
from chiasm.encoders import EfficientNetLite0, TransformersVision
from chiasm.lineages.embedders import AS_IS, COSINE, FIRST, LAST, LITE_PICTURES, MEAN, MINILM, ONE
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.interleaved import SIGLIP_L_384
from chiasm.objectives import Contrastive
from chiasm.spec import Scale, Stage, Teaching
from chiasm.spec.embedder import EmbedderAnswers
from chiasm.stream import Modality

WORDS = (Modality.TEXT, Modality.DOCUMENT)
PICTURES = (Modality.IMAGE,)
WRITTEN = Task(
    name="text-to-written",
    query=(Takes.OTHER,),
    document=(Takes.PICTURE, Takes.WRITTEN),
    about=Modality.DOCUMENT,
    weight=0.5,
)
BATCHES = Batches(tasks=(TEXT_TO_PICTURE, PICTURE_TO_TEXT, WRITTEN))
"""Captions about a picture, and words about what is written with it."""

SMOL_WORDS = Sentences(model_type="llama", weights="smollm2-135m", longest=64)
CLASSES = replace(
    LITE_PICTURES, encoder=EfficientNetLite0(level="classes"), height=128, width_pixels=128
)
"""At 128 pixels: a third of the time of 224."""


def words_of(space: str, encoder: Any, reduce: Any = AS_IS, project: Any = AS_IS) -> Tower:
    """A space's side of words."""
    return Tower(
        name=f"{space}_words", reads=WORDS, encoder=encoder, reduce=reduce, project=project
    )


def pictures_of(space: str, encoder: Any, reduce: Any = AS_IS, project: Any = AS_IS) -> Tower:
    """A space's side of pictures."""
    return Tower(
        name=f"{space}_pictures", reads=PICTURES, encoder=encoder, reduce=reduce, project=project
    )


def named(space: str, words: Sentences) -> tuple[Tower, Tower]:
    """What a classifier sees, in the space of the words that name its classes."""
    classes = NamedClasses(pictures=CLASSES, words=words)
    return words_of(space, words, MEAN), pictures_of(space, classes)


PACKAGED = (
    *named("names", MINILM),
    words_of("colours", NamedColours()),
    pictures_of("colours", PictureColours()),
    pictures_of("features", LITE_PICTURES, MEAN),
    words_of("spelling", Spelling()),
)
"""Four spaces: classes by their names, colours, features of pictures alone, letters alone."""


def space(name: str, towers: tuple[Tower, ...], source: Modality = Modality.IMAGE) -> Space:
    """The space of the towers of this name."""
    own = tuple(t.name for t in towers if t.name in (f"{name}_words", f"{name}_pictures"))
    return Space(name=name, towers=own, source=source)


def bound(
    spaces: tuple[Space, ...],
    words: tuple[str, ...],
    pictures: tuple[str, ...],
    blended: str | None = None,
    **sizes: Any,
) -> BoundSpaces:
    """Spaces around the first, the hub; `words` and `pictures` name the spaces that the routers
    read.
    """
    heard = [one for one in spaces if one.name != blended]
    sides = {
        side: tuple(t for one in heard for t in one.towers if t == f"{one.name}_{side}")
        for side in ("words", "pictures")
    }
    reads = {"words": words, "pictures": pictures}
    return BoundSpaces(
        spaces=spaces,
        hub=spaces[0].name,
        routers=tuple(
            Router(
                name=side,
                towers=sides[side],
                reads=tuple(f"{name}_{side}" for name in reads[side]),
                gain=10.0 if side == "words" else 1.0,
                by_source=side == "words",
                blended=None if blended is None else f"{blended}_{side}",
            )
            for side in ("words", "pictures")
        ),
        **sizes,
    )


def small(towers: tuple[Tower, ...], named_spaces: tuple[str, ...], **sizes: Any) -> BoundSpaces:
    """Packaged spaces: those of class names, then colours, features and spelling."""
    spaces = (
        *(space(name, towers) for name in (*named_spaces, "colours", "features")),
        space("spelling", towers, Modality.DOCUMENT),
    )
    return bound(spaces, (named_spaces[0], "spelling"), ("features",), **sizes)


def clip_words(
    width: int, depth: int, heads: int, ff_width: int | None = None, **settings: int
) -> Sentences:
    """A text side of CLIP's kind; its feed-forward is four times as wide unless it is said."""
    return Sentences(
        model_type="clip_text_model",
        settings=(
            ("hidden_size", width),
            ("intermediate_size", ff_width or 4 * width),
            ("num_attention_heads", heads),
            ("num_hidden_layers", depth),
            *settings.items(),
        ),
        longest=settings.get("max_position_embeddings", 77),
    )


def clip_pictures(width: int, depth: int, heads: int, ff_width: int) -> Pictures:
    """A picture side of CLIP's kind, patches of 14 pixels at 224, the class token first."""
    encoder = TransformersVision(
        model_type="clip_vision_model",
        settings=(
            ("hidden_size", width),
            ("image_size", 224),
            ("intermediate_size", ff_width),
            ("num_attention_heads", heads),
            ("num_hidden_layers", depth),
            ("patch_size", 14),
        ),
        taps=(),
        drop_first=0,
    )
    return Pictures(encoder=encoder, pixels=CLIP, height=224, width_pixels=224)


def siglip(name: str, encoder: Any, width: int, ff_width: int, depth: int) -> tuple[Tower, Tower]:
    """SigLIP's two sides; pictures by the mean of their tokens, not by its pooling head."""
    ids = dict(vocab_size=32_000, bos_token_id=1, eos_token_id=1, max_position_embeddings=64)
    words = clip_words(width, depth, 16, ff_width, **ids)
    pictures = Pictures(encoder=encoder, pixels=SIGLIP, height=384, width_pixels=384)
    return words_of(name, words, LAST), pictures_of(name, pictures, MEAN)


def clip(
    name: str, words: Sentences, pictures: Pictures, out: int, *, bias: bool = False
) -> tuple[Tower, Tower]:
    """Both sides of CLIP's kind, brought to one width."""
    head = LinearHead(out=out, bias=bias)
    return words_of(name, words, LAST, head), pictures_of(name, pictures, FIRST, head)


HEARD = {
    **{f"clap_{kind}": ("roberta", 512) for kind in ("general", "music")},
    **{f"wavcaps_{kind}": ("bert", 1024) for kind in ("pretrained", "audiocaps", "clotho")},
}
"""The five audio experts by name: what their words are read by, and their width."""
PUBLISHED = (
    *clip("eva_18b", clip_words(1280, 32, 20), clip_pictures(5120, 48, 40, 25_600), 1536),
    *clip("eva_e", clip_words(1280, 32, 20), clip_pictures(1792, 64, 16, 15_360), 1024),
    *clip("dfn_h", clip_words(1024, 24, 16), clip_pictures(1280, 32, 16, 5120), 1024),
    *siglip("siglip_l", SIGLIP_L_384, 1024, 4096, 24),
    *siglip("siglip_so400m", SIGLIP_SO400M_384, 1152, 4304, 27),
    *clip("imagebind", clip_words(1024, 24, 16), clip_pictures(1280, 32, 16, 5120), 1024),
    *(
        words_of(
            name,
            Sentences(model_type=kind),
            FIRST,
            MLPHead(hidden=width, out=width, activation="relu"),
        )
        for name, (kind, width) in HEARD.items()
    ),
)
"""All in CLIP's blocks where they are of its kind; of audio experts the side of words."""
SPACES = (
    *(
        space(name, PUBLISHED)
        for name in ("eva_18b", "eva_e", "dfn_h", "siglip_l", "siglip_so400m", "imagebind")
    ),
    *(space(name, PUBLISHED, Modality.AUDIO) for name in HEARD),
)
FULL = bound(SPACES, ("wavcaps_pretrained", "siglip_so400m"), ("dfn_h",), blended="imagebind")

BINDING = Stage(
    name="binding", trained=("fusion.projectors",), learning_rate=1e-3, share=0.6, batch=64
)
ROUTING = Stage(
    name="routers", trained=("fusion.routers",), learning_rate=1e-3, share=0.4, batch=64
)


def omni(
    encode: dict[Scale, tuple[Tower, ...]],
    fuse: dict[Scale, BoundSpaces],
    temperature: dict[Scale, float],
    stages: tuple[Stage, ...],
) -> dict[Scale, EmbedderAnswers]:
    """Spaces bound, then weighed, at three scales."""
    return {
        scale: EmbedderAnswers(
            encode=encode[scale],
            fuse=fuse[scale],
            outputs=(ONE,),
            score=COSINE,
            teaching=Teaching(
                objective=Bind(
                    fusion=fuse[scale],
                    contrast=Contrastive(temperature=temperature[scale]),
                ),
                stages=stages if scale is Scale.PAPER else (BINDING, ROUTING),
            ),
            batches=BATCHES,
        )
        for scale in Scale
    }
