"""Pixtral: native sizes in an encoder that turns by row and column, and a break after every row."""

from dataclasses import replace

from chiasm.connectors import MLP, RowBreaks
from chiasm.data.pixels import CLIP
from chiasm.encoders import RotaryViT
from chiasm.lineages.encoders import PIXTRAL_VIT
from chiasm.lineages.hosts import MISTRAL_NEMO_12B
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import DRAWINGS, LITE, VISION_LANGUAGE
from chiasm.spec import Card, NativeResolution, System, derive, register

SYSTEM = register(
    System(
        slug="pixtral",
        no=187,
        parent="llava-1.5",
        card=Card(
            paper="Pixtral 12B (arXiv 2410.07073)",
            differs="images at their own size up to 1024 pixels, in whole patches of 16; the "
            "encoder's heads turn by row and by column; [IMG_BREAK] after every row",
            claim="above Qwen2-VL-7B and Llama-3.2-11B, beside Llama-3.2-90B on MM-MT-Bench",
            checks=(
                "logits equal transformers' classes given equal weights",
                "1024 x 1024 pixels become 4,160 rows, 512 x 256 become 544",
                "images padded together equal each alone",
                "places shifted by a row or a column leave the features equal",
                "counts follow from sizes as transformers' processor has them",
            ),
            story=(
                "breaks and end are rows of the image with embeddings of their own; there they "
                "are words of the vocabulary",
                "one stage stands for the unpublished recipe; images are padded, not packed",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=RowBreaks(each=MLP())),
            nano=dict(
                views=NativeResolution(longest=64, shortest=16, multiple=16),
                pixels=replace(DRAWINGS, fit="native"),
                encoder=RotaryViT(patch=16, hidden=64, depth=2, heads=4, ff_width=128),
            ),
            smol=dict(
                views=NativeResolution(longest=384, shortest=16, multiple=16),
                pixels=replace(LITE, fit="native"),
                encoder=RotaryViT(patch=16, hidden=384, depth=6, heads=6, ff_width=1024),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                views=NativeResolution(longest=1024, shortest=16, multiple=16),
                pixels=replace(CLIP, fit="native"),
                encoder=PIXTRAL_VIT,
                host=MISTRAL_NEMO_12B,
                teaching=everything(learning_rate=1e-5),
            ),
        ),
    )
)
