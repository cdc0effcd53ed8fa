"""FocusLLaVA: areas of the picture enter at scales of their own, chosen by a gate that learns."""

from chiasm.compression import RegionScales
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="focusllava",
        no=221,
        parent="llava-1.5",
        card=Card(
            paper="FocusLLaVA: A Coarse-to-Fine Approach for Efficient and Effective Visual Token "
            "Compression (arXiv 2411.14228)",
            differs="each area of 4 x 4 tokens enters as 1, 4 or 16 tokens; a gate says which",
            claim="better than its base without compression at about 39% of the visual tokens",
            checks=(
                "an image's tokens are the sum over areas of 1, 4 or 16",
                "the balance loss is 1 where all scales are used alike",
                "the finest scale alone gives the uncompressed tokens, times its probability",
                "the gate learns through the probability that its tokens are multiplied by",
            ),
            story=(
                "how many areas get each scale is fixed, 10 of 16 tokens, 13 of 4 and 13 of 1, as "
                "counts must be known before pixels are; the paper's areas choose freely",
                "the text-guided sampler in the decoder is a method of `chiasm.compress`, "
                "training-free",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(compression=RegionScales(sides=(1, 2), areas_at=(2, 2), hidden=32)),
            smol=dict(compression=RegionScales(sides=(1, 2, 4), areas_at=(1, 1, 2), hidden=128)),
            paper=dict(
                compression=RegionScales(sides=(1, 2, 4), areas_at=(13, 13, 10), hidden=1024)
            ),
        ),
    )
)
