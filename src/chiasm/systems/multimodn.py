"""MultiModN: picture and words change one state in turn; every state on the way is decoded."""

from chiasm.encoders import EfficientNetLite0
from chiasm.fusion import ModularState
from chiasm.heads import AnswersOfStates
from chiasm.lineages.joined_features import linear_layers
from chiasm.lineages.single_stream import BERT_BASE, PREFIX
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="multimodn",
        no=114,
        parent="llava-1.5",
        card=Card(
            paper="MultiModN: Multimodal, Multi-Task, Interpretable Modular Networks "
            "(arXiv 2309.14118)",
            differs="a learned state is changed by each modality in turn, behind the encoders; one "
            "decoder reads every state; a missing modality is skipped",
            claim="as good as parallel fusion on complete data, and not misled where what is "
            "missing in training depends on the label",
            checks=(
                "a missing modality leaves the state as it is and its encoder without gradient",
                "a further modality leaves earlier predictions bit-equal",
                "M modalities give M + 1 predictions",
                "a batch of mixed missingness equals each sample alone",
            ),
            story=(
                "the state joins the features before the first layer of each modality's MLP",
                "words come from the host's own final state; scores are logits, the release's end "
                "in a sigmoid",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                fusion=ModularState(state=96, hidden=128, dropout=0.0),
                head=AnswersOfStates(state=96, hidden=128),
            ),
            smol=dict(
                fusion=ModularState(state=192, hidden=256, dropout=0.1),
                head=AnswersOfStates(state=192, hidden=256),
            ),
            paper=dict(
                views=Fixed(224, 224),
                encoder=EfficientNetLite0(level="head"),
                fusion=ModularState(),
                head=AnswersOfStates(answers=2),
                visibility=PREFIX,
                teaching=linear_layers(learning_rate=1e-3, batch=32),
                host=BERT_BASE,
                template="chatml",
            ),
        ),
    )
)
