"""MM1: convolutions make 144 tokens of every view; four crops and a thumbnail are 720."""

from chiasm.connectors import CAbstractor
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import DFN_H_378
from chiasm.lineages.hosts import LLAMA_3_2_3B
from chiasm.lineages.teaching import everything, scaled
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, Windows, derive, register

SYSTEM = register(
    System(
        slug="mm1",
        no=37,
        parent="llava-1.5",
        card=Card(
            paper="MM1: Methods, Analysis & Insights from Multimodal LLM Pre-training "
            "(arXiv 2403.09611)",
            differs="a C-Abstractor of 144 tokens a view, four crops and the whole image; all "
            "parts learn at once, at a rate that follows from the decoder's size",
            claim="resolution and the number of tokens matter, the kind of connector little; "
            "30B, 8 shots: COCO 123.1 CIDEr (recalled)",
            checks=(
                "average pooling, attention pooling and C-Abstractor give equal counts",
                "five views are 720 tokens",
                "1.2 billion parameters learn at about 8.6e-5",
                "batches hold 45% interleaved text, 45% captions, 10% text",
            ),
            story=(
                "the host has Llama-3.2-3B's sizes, as MM1's are not published, and is dense: the "
                "mixtures of 64 and 32 experts are left out",
                "crops come before the whole image; a mixture of data is `chiasm.data` blocks'",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                views=Windows(side=32, rows=2, columns=2),
                connector=CAbstractor(side=2, hidden=64, depth=1),
            ),
            smol=dict(
                views=Windows(side=224, rows=2, columns=2),
                connector=CAbstractor(side=4, hidden=256, depth=1),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                views=Windows(side=672, rows=2, columns=2),
                pixels=SIGLIP,
                encoder=DFN_H_378,
                connector=CAbstractor(side=12, hidden=1024),
                host=LLAMA_3_2_3B,
                teaching=scaled(2.8e9),
            ),
        ),
    )
)
