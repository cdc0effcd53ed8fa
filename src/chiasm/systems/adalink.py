"""AdaLink: a low-rank pair a modality on what enters the first layer; nothing inside is touched."""

from chiasm.fusion import InputAdapters, InSequence
from chiasm.lineages.adapted import one_stage
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register
from chiasm.stream import MEDIA, TEXT

LINKS = InputAdapters(fusion=InSequence(), kinds=(TEXT, MEDIA), rank=8)

SYSTEM = register(
    System(
        slug="adalink",
        no=20,
        parent="llava-1.5",
        card=Card(
            paper="Non-Intrusive Adaptation: Input-Centric Parameter-efficient Fine-Tuning for "
            "Versatile Multimodal Modeling (arXiv 2310.12100)",
            differs="e + B A e for the embeddings of words and for the tokens of pictures, each "
            "by its own pair; the model behind them is frozen, and serves many tasks in one batch",
            claim="PaLI-X: near full fine-tuning in captioning and VQA with 1.05M parameters, "
            "above prompt tuning",
            checks=(
                "at the start the base model, bit for bit",
                "2 d r parameters a modality: 1,048,576 at d = 4096, r = 64",
                "the adapter of words leaves the rows of pictures unchanged",
                "a batch of mixed tasks equals each task by itself",
                "no weight of the base moves",
            ),
            story=(
                "no activation between A and B; the host is LLaVA's, PaLI-X has no open weights",
                "at smol the connector learns beside the adapters, as nothing taught it before",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(fusion=LINKS),
            smol=dict(teaching=one_stage("connector", "fusion", learning_rate=1e-3)),
            paper=dict(
                fusion=InputAdapters(fusion=InSequence(), kinds=(TEXT, MEDIA), rank=64),
                teaching=one_stage("fusion", learning_rate=1e-3),
            ),
        ),
    )
)
