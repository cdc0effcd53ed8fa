"""ReT: a gated cell, shared by all layers, gathers what two towers saw on their way up."""

from dataclasses import replace

from chiasm.embedders.batches import Batches
from chiasm.embedders.stages import Align, LateInteraction, RecurrentLayers
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

CELL = RecurrentLayers(out=1024, queries=32, heads=16, layers=12, text=768, image=1024)
FEW = RecurrentLayers(out=96, queries=8, heads=3, layers=2, text=96, image=64)
STAGE = Stage(name="passages", trained=("fusion", "output"), learning_rate=5e-5, batch=512)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="ret",
        no=36,
        parent="uniir",
        card=Card(
            paper="Recurrence-Enhanced Vision-and-Language Transformers for Robust Multimodal "
            "Document Retrieval (arXiv 2503.01980)",
            differs="learned queries read every layer of both towers through one gated cell; many "
            "vectors, compared late without a temperature; frozen towers learn at nano, where "
            "nobody taught them before",
            claim="ViT-L: WIT R@10 73.4, InfoSeek R@5 47.0, OKVQA R@5 20.2, E-VQA R@5 44.5",
            checks=(
                "the cell holds 24 d^2 + 23 d weights, beside 32 d queries",
                "without a picture the output does not depend on pixels",
                "with gates open to the state alone the cell is self-attention and its MLP",
                "the state's shape does not depend on the number of layers",
            ),
        ),
        scales=parts.two_towers(
            parts.whole(parts.CLIP_L_LAYERS, parts.CLIP_L_VIEWS),
            objective=Align(contrast=Contrastive(temperature=1.0)),
            small=Align(contrast=Contrastive(temperature=0.5)),
            stages=(STAGE,),
            nano=parts.whole(parts.NANO_LAYERS, parts.NANO_VIEWS),
            smol=parts.whole(parts.MINILM_LAYERS, parts.NANO_VIEWS),
            fuses=(FEW, replace(FEW, text=384), CELL),
            outputs=(parts.MANY_128,),
            score=LateInteraction(),
            batches=Batches(tasks=parts.INSTRUCTED),
        ),
    )
)
