"""IMP: one encoder of sparse layers for every modality, taught one task a step."""

from dataclasses import replace

from chiasm.embedders.stages import Align, Classes
from chiasm.lineages import sparse_encoder as parts
from chiasm.lineages.multimodal_embedders import SOFT, one_sequence
from chiasm.objectives import Contrastive
from chiasm.spec import Card
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="imp",
        no=123,
        parent="align",
        card=Card(
            paper="Alternating Gradient Descent and Mixture-of-Experts for Integrated Multimodal "
            "Perception (arXiv 2305.06324)",
            differs="one encoder for raw patches and words; every second feed-forward is experts, "
            "each of which takes its best rows, whatever they are of; a step teaches one task, "
            "which batches of one modality need no padding for",
            claim="IMP-MoE-L zero-shot: Kinetics-400 77.0, 600 76.8, 700 68.3, at some 15% of "
            "rivals' compute",
            checks=(
                "every expert takes as many rows of an item, to one, without a loss for balance",
                "a step is of one task; steps have as many signatures as there are tasks",
                "a task of words alone leaves the patches' weights as they are, and the reverse",
                "an item's rows are routed the same whatever stands beside it",
                "twelve layers of 16 experts hold 1.61B parameters",
            ),
            story=(
                "pictures and words only: video, spectrograms and waveforms are not built, nor "
                "varied resolutions and dropped tokens; contrast and classes are one step's sum",
                "16 experts in alternate layers and a capacity of 1 are as recollected; experts "
                "choose within an item, by sigmoids, so that batches say nothing about it",
                "smol builds on SmolLM2's weights, each expert beginning as its feed-forward",
            ),
        ),
        scales=one_sequence(
            parts.ENCODE,
            objective=Align(
                contrast=Contrastive(temperature=0.07, both_ways=True),
                learned=True,
                terms=(Classes(classes=4096),),
            ),
            small=replace(SOFT, terms=(Classes(classes=4096),)),
            batches=parts.ALTERNATING,
            stages=(parts.FROM_SCRATCH,),
            nano_stages=(parts.SMALL,),
            smol_stages=(parts.SMALL,),
        ),
    )
)
