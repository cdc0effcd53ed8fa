"""COLA: one layer over the tokens of a picture and a text, held against the frozen text's own."""

from dataclasses import replace

from chiasm.embedders.stages import Align, Apart, AtLayer, LinearHead, ReadTogether
from chiasm.lineages import embedders as parts
from chiasm.lineages.dual_encoders import CLIP_B_WORDS, pictures, taught_before
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

EVERY, BEFORE_LAST = parts.EVERY_TOKEN, AtLayer(layer=-2)
FUSED = ReadTogether(width=512, heads=4, ff_width=2048)
STAGE = Stage(name="adapter", trained=("image.head", "score"), learning_rate=3e-4, batch=16)
HALF = (replace(STAGE, share=0.5),)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="cola",
        no=182,
        parent="align",
        card=Card(
            paper="COLA: A Benchmark for Compositional Text-to-image Retrieval (arXiv 2305.03689)",
            differs="frozen towers; a layer fuses each picture with each text, a learned query "
            "reads both, and is held against the text's own states",
            claim="lifts CLIP of 151M to FLAVA of 241M",
            checks=(
                "7,752,704 parameters are taught, CLIP's stay bit-identical",
                "permuting patches changes no score; the towers run once an item",
                "swapped attributes: above a head on pictures alone, which is at chance",
            ),
            story=(
                "symmetric InfoNCE is ours, as is its temperature; negatives are the batch's own",
                "at nano the towers are taught first, and read at their last layer",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(replace(CLIP_B_WORDS, layers=True), BEFORE_LAST, parts.AS_IS),
                parts.image_tower(pictures(32, -2, drop_first=1), EVERY, LinearHead(out=512)),
            ),
            objective=Align(contrast=Contrastive(temperature=22.6, both_ways=True)),
            small=Align(contrast=Contrastive(temperature=10.0, both_ways=True)),
            stages=(STAGE,),
            nano=(
                parts.text_tower(parts.NANO_WORDS, EVERY, parts.AS_IS),
                parts.image_tower(parts.NANO_PICTURES, EVERY, LinearHead(out=96)),
            ),
            nano_stages=taught_before("text", "image", "score", rate=1e-3, then=HALF, batch=16),
            smol=(
                parts.text_tower(parts.MINILM_LAYERS, BEFORE_LAST, parts.AS_IS),
                parts.image_tower(parts.LITE_PICTURES, EVERY, LinearHead(out=384)),
            ),
            smol_stages=(STAGE,),
            outputs=(parts.MANY,),
            fuse=Apart(),
            scores=(replace(FUSED, width=96, ff_width=192), replace(FUSED, width=384), FUSED),
        ),
    )
)
