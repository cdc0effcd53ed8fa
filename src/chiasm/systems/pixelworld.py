"""PixelWorld: everything is asked on a page of pixels, and blank patches are never seen."""

from dataclasses import replace

from chiasm.data.pixels import CLIP
from chiasm.encoders import RotaryViT, WrittenPatches
from chiasm.lineages.encoders import PIXTRAL_VIT
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import DRAWINGS, LITE, VISION_LANGUAGE
from chiasm.spec import Card, NativeResolution, System, derive, register

WRITTEN = WrittenPatches(each=PIXTRAL_VIT, threshold=1e-3)
NANO = RotaryViT(patch=16, hidden=64, depth=2, heads=4, ff_width=128)
SMOL = RotaryViT(patch=16, hidden=384, depth=6, heads=6, ff_width=1024)

SYSTEM = register(
    System(
        slug="pixelworld",
        no=143,
        parent="pixtral",
        card=Card(
            paper="PixelWorld: Towards Perceiving Everything as Pixels (arXiv 2501.19339)",
            differs="questions are written on pages beside their pictures (chiasm.data.as_pixels); "
            "patches without ink pass neither the encoder nor the host",
            claim="pixels help multimodal sets and hurt reasoning and code, small models most",
            checks=(
                "a threshold below 0 is the model without it, bit for bit",
                "what is left gets the features that it has where blanks are seen by nobody",
                "a blank page keeps a patch",
                "work falls with the share of blank patches",
            ),
            story=(
                "the paper asks others' models; here Pixtral's encoder before Qwen2-7B; the "
                "threshold of 1e-3 is ours; bills are of pages full of ink",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                views=NativeResolution(longest=160, shortest=16, multiple=16),
                pixels=replace(DRAWINGS, fit="native"),
                encoder=replace(WRITTEN, each=NANO),
            ),
            smol=dict(
                views=NativeResolution(longest=512, shortest=16, multiple=16),
                pixels=replace(LITE, fit="native"),
                encoder=replace(WRITTEN, each=SMOL),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                views=NativeResolution(longest=1024, shortest=16, multiple=16),
                pixels=replace(CLIP, fit="native"),
                encoder=WRITTEN,
                host=QWEN2_7B,
                teaching=everything(learning_rate=1e-5),
            ),
        ),
    )
)
