"""Hierarchical3D: adapters of a frozen summariser that know what is said and shown together."""

from dataclasses import replace

from chiasm.experts import AdaptedWeights, Hierarchical
from chiasm.lineages.adapted import one_stage
from chiasm.lineages.encoders import CLIP_L_224
from chiasm.lineages.single_stream import BERT_BASE, PREFIX
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

UTTERANCES = Hierarchical(hidden=256, heads=4, inner=64)
SMALL = AdaptedWeights((), (replace(UTTERANCES, hidden=32, inner=16),))
BART = dict(vocabulary=50_265, width=1024, heads=16, kv_heads=16, ff_width=4096)

SYSTEM = register(
    System(
        slug="hierarchical3d",
        no=144,
        parent="llava-1.5",
        card=Card(
            paper="Hierarchical3D Adapters for Long Video-to-text Summarization (arXiv 2210.04829)",
            differs="a frozen prefix model; behind every feed-forward a bottleneck, in which rows "
            "of the prompt are told what their utterance holds, words and pictures, beside the "
            "other utterances",
            claim="SummScreen3D: above fine-tuned BART and models of long text, 3.8% taught",
            checks=(
                "at the start the host, bit for bit",
                "shuffling an utterance's words leaves its vector",
                "without what utterances add it is the plain adapter",
                "at most 4% of the host's parameters",
            ),
            story=(
                "rebuilt from the paper's words, as its adapters are not released; 256 units, 4 "
                "heads of 16 and the linear map of media are ours",
                "a prefix model of BART-large's layers stands in for its two halves: prompt rows "
                "for the encoder, answer rows, with plain adapters, for the decoder",
                "pictures alone: sound, and the choice of utterances, are not built; the host at "
                "smol reads causally, as it was taught",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(visibility=PREFIX, experts=SMALL),
            smol=dict(
                experts=SMALL, teaching=one_stage("connector", "experts", learning_rate=1e-3)
            ),
            paper=dict(
                visibility=PREFIX,
                views=Fixed(224, 224),
                encoder=CLIP_L_224,
                host=replace(BERT_BASE, **BART, max_positions=4096),
                experts=AdaptedWeights((), (UTTERANCES,)),
                teaching=one_stage("connector", "experts", learning_rate=1e-4),
                template="chatml",
            ),
        ),
    )
)
