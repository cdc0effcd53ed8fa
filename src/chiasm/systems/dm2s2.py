"""DM2S2: a set of sequences in one encoder, pooled by attention within and among modalities."""

from chiasm.connectors import Regions
from chiasm.encoders import EfficientNetLite0
from chiasm.fusion import SetPooling, SingleStream
from chiasm.lineages.single_stream import BERT_BASE, PREFIX, SINGLE_STREAM
from chiasm.lineages.teaching import everything
from chiasm.lineages.two_streams import NANO_TEXT
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.positions import Apart
from chiasm.spec import Card, Fixed, Scale, System, derive, register
from chiasm.visibility import PromptKeys

SETS = SetPooling(rule=PREFIX.sequence & PromptKeys(), entry=SingleStream(norm_text=False))

SYSTEM = register(
    System(
        slug="dm2s2",
        no=53,
        parent="vilt",
        card=Card(
            paper="DM2S2: Deep Multi-Modal Sequence Sets with Hierarchical Modality Attention "
            "(arXiv 2209.03126)",
            differs="each modality is a sequence of a set that restarts its positions; attention "
            "pools a modality's states, then the modalities, into one vector",
            claim="comparable to or better than fusion by concatenation, with a vector as wide for "
            "any number of modalities",
            checks=(
                "the order of modalities changes no prediction",
                "a missing modality is as if it were not of the set; weights add up to 1",
                "without attention it is the sum of means",
                "parameters of the pooling do not depend on the number of modalities",
            ),
            story=(
                "equations, sizes of both attentions and their shared weights are ours; the mean "
                "keeps a modality's vector independent of its length, the attended sum is beside "
                "it whole",
                "a set here is words and one picture's regions; answers are spelt, so a row adds "
                "its own state to what it pools",
            ),
        ),
        scales=derive(
            SINGLE_STREAM,
            every=dict(connector=Regions(), fusion=SETS, positions=Apart()),
            nano=dict(encoder=VISION_LANGUAGE[Scale.NANO].encoder, host=NANO_TEXT),
            smol=dict(encoder=EfficientNetLite0()),
            paper=dict(
                views=Fixed(192, 192),
                encoder=EfficientNetLite0(level="head"),
                teaching=everything(learning_rate=2e-5),
                host=BERT_BASE,
            ),
        ),
    )
)
