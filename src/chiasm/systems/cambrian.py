"""Cambrian-1: queries on a grid read their own windows of four encoders' maps."""

from dataclasses import replace

from chiasm.connectors import WindowedQueries
from chiasm.data.pixels import CLIP
from chiasm.lineages.connecting import CAMBRIAN
from chiasm.lineages.hosts import LLAMA_3_8B
from chiasm.lineages.several_encoders import NANO_MAPS, PAPER_MAPS, SMOL_MAPS
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

READS = WindowedQueries(
    windows=(1, 1, 1, 4), shares=(1024, 1152, 1536, 3072), inner=1024, heads=16, depth=3
)
TWO = replace(READS, windows=(1, 2), shares=(1, 1), inner=128, heads=4, depth=1)

SYSTEM = register(
    System(
        slug="cambrian",
        no=52,
        parent="llava-1.5",
        card=Card(
            paper="Cambrian-1: A Fully Open, Vision-Centric Exploration of Multimodal LLMs "
            "(arXiv 2406.16860)",
            differs="CLIP, SigLIP, DINOv2 and ConvNeXt side by side; 24 x 24 queries, each of "
            "which reads only its window of every map; a learned row ends every line",
            claim="LLaMA3-8B, 576 tokens: MMB 75.9, ChartQA 73.3, MMVP 51.3; LLaVA-NeXT, 2,880 "
            "tokens: 72.1, 69.5, 38.7",
            checks=(
                "576 + 24 rows an image",
                "a token of a further map reaches one query; of the first, all through its mean",
                "three layers hold 47.3M parameters; one within the host would hold 22.06M",
            ),
            story=(
                "the ten further readers between the host's layers are not built",
                "smol sees a picture twice through one network, at 224 and 448 pixels",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(encoder=NANO_MAPS, connector=TWO),
            smol=dict(
                views=Fixed(448, 448),
                encoder=SMOL_MAPS,
                connector=replace(TWO, inner=320, heads=5, depth=2),
            ),
            paper=dict(
                views=Fixed(1024, 1024),
                pixels=replace(CLIP, fit="pad"),
                encoder=PAPER_MAPS,
                connector=READS,
                teaching=CAMBRIAN,
                host=LLAMA_3_8B,
            ),
        ),
    )
)
