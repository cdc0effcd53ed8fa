"""PCME: an item is a distribution; what is learned is how likely draws match."""

from chiasm.embedders.stages import EveryToken, GaussianVector, MatchPairs, MatchProbability, Output
from chiasm.embedders.stages import MeanAndDeviation as Head
from chiasm.lineages import embedders as parts
from chiasm.objectives import SoftMatching
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

GAUSSIAN = Output(reduce=EveryToken(), project=parts.AS_IS, gives=GaussianVector())
HEAD_64, HEAD_256 = Head(out=64, start=-4.0), Head(out=256, start=-4.0)
HEAD_1024 = Head(out=1024)
TRAINED = ("text", "image.head", "score")
STAGES = (
    Stage(name="heads", trained=TRAINED, learning_rate=2e-4, share=0.5, batch=128),
    Stage(name="all", trained=(*TRAINED, "image"), learning_rate=2e-4, share=0.5, batch=128),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="pcme",
        no=94,
        parent="align",
        card=Card(
            paper="Probabilistic Embeddings for Cross-Modal Retrieval (arXiv 2101.05068)",
            differs="a Gaussian an item, pairs judged one by one; words are read by BERT instead "
            "of GloVe and a GRU, both heads share its states; small scales begin with narrow draws",
            claim="COCO 1K PMRP 45.0 and 46.0 against 40.3 and 41.8 of points",
            checks=(
                "as deviations vanish the loss becomes that of points",
                "distances of thousands give a finite loss",
                "the probability falls with the distance of the means",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(parts.BERT_BASE, HEAD_1024, parts.AS_IS),
                parts.image_tower(parts.RESNET_152, HEAD_1024, parts.AS_IS),
            ),
            objective=MatchPairs(matching=SoftMatching(prior=1e-5)),
            stages=STAGES,
            nano=(
                parts.text_tower(parts.NANO_WORDS, HEAD_64, parts.AS_IS),
                parts.image_tower(parts.NANO_PICTURES, HEAD_64, parts.AS_IS),
            ),
            smol=(
                parts.text_tower(parts.MINILM, HEAD_256, parts.AS_IS),
                parts.image_tower(parts.LITE_PICTURES, HEAD_256, parts.AS_IS),
            ),
            outputs=(GAUSSIAN,),
            score=MatchProbability(slope=5.0, offset=5.0),
        ),
    )
)
