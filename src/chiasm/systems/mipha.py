"""Mipha: LLaVA-1.5 of small parts, its encoder taught too."""

from dataclasses import replace

from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import PHI_2
from chiasm.lineages.teaching import aligned
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

LOOKING = ("encoder", "connector", "decoder", "head")

SYSTEM = register(
    System(
        slug="mipha",
        no=70,
        parent="llava-1.5",
        card=Card(
            paper="Mipha: A Comprehensive Overhaul of Multimodal Assistant with Small Language "
            "Models (arXiv 2403.06199)",
            differs="SigLIP and Phi-2 in place of CLIP and Vicuna; in the second stage the encoder "
            "learns as well",
            claim="3B: VQAv2 81.3, GQA 63.9, TextVQA 56.6, POPE 86.7, MMBench 69.7; above "
            "LLaVA-1.5-13B on several",
            checks=(
                "the projector holds 9,507,840 parameters",
                "stage 1 moves the projector alone",
                "stage 2 gives the encoder's first layer a gradient",
                "729 tokens at any aspect",
            ),
            story=(
                "SigLIP is read one layer before the last, as LLaVA-1.5 reads CLIP",
                "at nano scale everything is taught from scratch, so nothing differs there",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            smol=dict(teaching=aligned(*LOOKING, rates=(1e-3, 1e-4), share=0.3, batches=(32, 32))),
            paper=dict(
                views=Fixed(384, 384),
                pixels=replace(SIGLIP, fit="pad"),
                encoder=replace(SIGLIP_SO400M_384, taps=(-2,)),
                host=PHI_2,
                teaching=aligned(*LOOKING, rates=(1e-3, 2e-5), share=558 / (558 + 2 * 665)),
            ),
        ),
    )
)
