"""UniIR: instructed queries of any modality, the sum of what the towers see."""

from chiasm.embedders.batches import Batches
from chiasm.embedders.stages import Align, LinearHead
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

HEAD = LinearHead(out=768, bias=False)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="uniir",
        no=103,
        parent="align",
        card=Card(
            paper="UniIR: Training and Benchmarking Universal Multimodal Information Retrievers "
            "(arXiv 2311.17136)",
            differs="score fusion: the masked sum of the towers' vectors as they are; the "
            "instruction precedes the query's words, and a query without words has none",
            claim="M-BEIR, 5.6M candidates in one pool: CLIP score fusion 48.9 mean recall",
            checks=(
                "an item without words does not depend on the text tower",
                "an image and a text together are the sum of both",
                "rows of several targets sum to 1",
                "CLIP ViT-L/14 holds 427,616,513 parameters",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.told(parts.text_tower(parts.CLIP_L_WORDS, parts.LAST, HEAD)),
                parts.image_tower(parts.CLIP_L_PICTURES, parts.FIRST, HEAD),
            ),
            objective=Align(contrast=Contrastive(temperature=0.01), learned=True),
            small=Align(contrast=Contrastive(temperature=0.07), learned=True),
            stages=(Stage(name="tasks", trained=("text", "image", "score"), learning_rate=1e-5),),
            nano=(parts.told(parts.NANO_TOWERS[0]), parts.NANO_TOWERS[1]),
            smol=(parts.told(parts.SMOL_TOWERS[0]), parts.SMOL_TOWERS[1]),
            batches=Batches(tasks=parts.INSTRUCTED),
        ),
    )
)
