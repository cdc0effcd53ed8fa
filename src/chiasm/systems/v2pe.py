"""V2PE: a picture's tokens stand fractions of a position apart, so that many fit the window."""

from dataclasses import replace

from chiasm.connectors import Blockwise, NormedMLP
from chiasm.data.pixels import IMAGENET, SIGLIP
from chiasm.lineages.encoders import INTERN_VIT_300M_448
from chiasm.lineages.hosts import INTERN_LM2_1_8B
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.positions import Fractional
from chiasm.spec import Card, System, Tiles, derive, register

SYSTEM = register(
    System(
        slug="v2pe",
        no=167,
        parent="llava-1.5",
        card=Card(
            paper="V2PE: Improving Multimodal Long-Context Capability of Vision-Language Models "
            "with Variable Visual Position Encoding (arXiv 2412.09616)",
            differs="a visual token advances the position by s/256; s is drawn for every picture "
            "in training, and fixed afterwards, the smaller the longer the context",
            claim="InternVL2-2B taught on 32K contexts: MM-NIAH 21.0 to 81.8, MileBench 49.9 to "
            "72.5, short benchmarks 72.4 to 72.5; with s = 1 it reads a million tokens",
            checks=(
                "s = 256 numbers the rows one by one, and its logits are the baseline's",
                "13 tiles of 256 tokens span 3,328, 832, 208 and 13 positions at 256, 64, 16, 1",
                "text stands at whole positions after every picture",
                "positions are float32 and strictly increase; in bfloat16 they would collide",
            ),
            story=(
                "the rows around a picture stand for its <img> and </img>",
                "positions.fixed is s outside of training; 64 and the rates are ours",
                "InternViT has CLIP's blocks here",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(positions=Fractional(fixed=64)),
            paper=dict(
                views=Tiles(side=448, most=12, tagged=False),
                pixels=replace(SIGLIP, mean=IMAGENET.mean, std=IMAGENET.std),
                encoder=INTERN_VIT_300M_448,
                connector=Blockwise(each=NormedMLP(), factor=2),
                teaching=everything(learning_rate=4e-5),
                host=INTERN_LM2_1_8B,
                template="chatml",
            ),
        ),
    )
)
