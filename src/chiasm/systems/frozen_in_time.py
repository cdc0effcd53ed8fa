"""Frozen in Time: an image is a clip of one frame, read by attention over time and over space."""

from chiasm.data.pixels import CLIP
from chiasm.embedders.stages import ActivatedHead, Align, Clips, LinearHead
from chiasm.lineages import embedders as parts
from chiasm.lineages.vision_language import DRAWINGS
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SMALL = Clips(
    patch=16, hidden=96, depth=2, heads=3, ff_width=192, frames=4, side=64, pixels=DRAWINGS
)
BASE = Clips(
    patch=16, hidden=768, depth=12, heads=12, ff_width=3072, frames=4, side=224, pixels=CLIP
)
STAGES = tuple(
    Stage(name=name, trained=("text", "image"), learning_rate=3e-5, share=0.5, batch=96)
    for name in ("images", "clips of four frames")
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="frozen-in-time",
        no=186,
        parent="align",
        card=Card(
            paper="Frozen in Time: A Joint Video and Image Encoder for End-to-End Retrieval "
            "(arXiv 2104.00650)",
            differs="pictures are clips: attention over time, which starts as nothing, then over "
            "space; the curriculum's two steps are stages of equal length",
            claim="MSR-VTT 1k-A text to video R@1 31.0, zero-shot 18.7",
            checks=(
                "fresh, one frame gives what a plain vision transformer gives",
                "the order of frames has no effect while time is new",
                "a patch reads its frame and its place alone",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(parts.DISTILBERT, parts.FIRST, ActivatedHead(out=256)),
                parts.clip_tower(encoder=BASE, project=LinearHead(out=256)),
            ),
            objective=Align(contrast=Contrastive(temperature=0.05, both_ways=True)),
            stages=STAGES,
            nano=(
                parts.text_tower(parts.NANO_WORDS, parts.LAST, ActivatedHead(out=64)),
                parts.clip_tower(encoder=SMALL, project=LinearHead(out=64)),
            ),
            smol=(
                parts.text_tower(parts.MINILM, parts.FIRST, ActivatedHead(out=256)),
                parts.clip_tower(encoder=BASE, project=LinearHead(out=256)),
            ),
            smol_stages=(parts.SCRATCH,),
        ),
    )
)
