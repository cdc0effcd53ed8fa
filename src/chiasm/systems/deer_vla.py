"""DeeR-VLA: a Flamingo that acts, and leaves its stack as soon as two exits agree."""

from chiasm.compression import EarlyExits
from chiasm.connectors import PerceiverResampler
from chiasm.fusion import GatedCrossAttention
from chiasm.heads import ActionHead
from chiasm.lineages.encoders import CLIP_L_224
from chiasm.lineages.hosts import MPT_1B_HALF
from chiasm.lineages.teaching import connector_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.visibility import Causal, ItemsSoFar, Sight

SYSTEM = register(
    System(
        slug="deer-vla",
        no=19,
        parent="flamingo",
        card=Card(
            paper="DeeR-VLA: Dynamic Inference of Multimodal Large Language Models for Efficient "
            "Robot Execution (arXiv 2411.02359)",
            differs="exits that share a recurrent action head; steps leave where two agree",
            claim="CALVIN: LLM FLOPs 5.2 to 6.5 times fewer, memory 2 to 6, equal success",
            checks=(
                "threshold infinity leaves at the first exit, -1 at the last",
                "empirical shares match the demanded ones to one sample",
                "trial exits leave the LSTM state bit-identical",
                "layers executed = exit + 1",
            ),
            story=("rotary positions stand for MPT's ALiBi; the text head can leave early too",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(visibility=Sight(sequence=Causal(), memory=ItemsSoFar())),
            nano=dict(
                connector=PerceiverResampler(latents=16, depth=1, heads=4, head_width=32),
                fusion=GatedCrossAttention(every=1, heads=4, head_width=32),
                compression=EarlyExits(every=1),
                head=ActionHead(layers=2, lstm_width=128),
            ),
            smol=dict(
                connector=PerceiverResampler(latents=32, depth=2, heads=8, head_width=64),
                fusion=GatedCrossAttention(every=4, heads=8, head_width=64),
                compression=EarlyExits(every=2),
                head=ActionHead(layers=4, lstm_width=512),
                teaching=connector_only(learning_rate=5e-4),
            ),
            paper=dict(
                views=Fixed(224, 224),
                encoder=CLIP_L_224,
                connector=PerceiverResampler(latents=64, depth=6, heads=8, head_width=64),
                fusion=GatedCrossAttention(every=1, heads=8, head_width=64),
                compression=EarlyExits(every=2),
                head=ActionHead(layers=4, lstm_width=1024),
                teaching=connector_only(learning_rate=1e-4),
                host=MPT_1B_HALF,
            ),
        ),
    )
)
