"""UNITE: a query competes with documents of its own target's modalities alone."""

from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import Align, Prompt, SameKind
from chiasm.lineages import multimodal_embedders as parts
from chiasm.lineages.embedders import BOTH_TO, TO_BOTH
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

PROMPT = Prompt(closing=" Summary above in one word:", marker="<|im_end|>")
STAGES = (
    Stage(name="retrieval", trained=("item.experts",), learning_rate=1e-4, share=0.5, batch=512),
    Stage(name="instructions", trained=("item.experts",), learning_rate=2e-5, share=0.5, batch=512),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="unite",
        no=154,
        parent="vlm2vec-v2",
        card=Card(
            paper="Modality Curation: Building Universal Embeddings for Advanced Multimodal "
            "Information Retrieval (arXiv 2505.19650)",
            differs="modality-aware masked contrast; the prompt asks for one word; both stages "
            "keep one adapter",
            claim="WebVid-CoVR 72.5 R@1; the mask itself gains a few tenths of a point",
            checks=(
                "with one kind of document the loss is plain contrast's",
                "with several it is the mean of the kinds' losses by size",
                "masked pairs receive no gradient",
                "a kind that only one document has costs nothing",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.qwen2_vl(parts.QWEN2_VL_2B), parts.lora(8, 16.0), PROMPT),
            objective=Align(contrast=Contrastive(temperature=0.03), among=SameKind()),
            small=Align(contrast=Contrastive(temperature=0.07), among=SameKind()),
            stages=STAGES,
            batches=Batches(tasks=(TEXT_TO_PICTURE, PICTURE_TO_TEXT, TO_BOTH, BOTH_TO), block=8),
        ),
    )
)
