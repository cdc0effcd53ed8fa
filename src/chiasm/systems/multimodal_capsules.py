"""Capsules of every modality, routed by one pass of self-attention, in one joint space."""

from chiasm.embedders.stages import Align, CapsuleHead
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

HEADS = ("text.head", "image.head", "score")
STAGE = Stage(name="heads", trained=HEADS, learning_rate=1e-4, batch=128)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="multimodal-capsules",
        no=76,
        parent="align",
        card=Card(
            paper="Routing with Self-Attention for Multimodal Capsule Networks (arXiv 2112.00775)",
            differs="behind frozen encoders, each modality's vector becomes capsules, poses with "
            "activations; one pass of self-attention routes them, and what is active is mapped to "
            "the joint space",
            claim="better retrieval (YouCook2, MSR-VTT) than dynamic or EM routing, which run out "
            "of memory with more capsules",
            checks=(
                "another order of capsules gives the same capsules in that order",
                "a capsule of activation 0 is removed",
                "it costs N^2 d for N capsules, once",
                "parameters of the routing depend on the pose alone",
            ),
            story=(
                "N = 128, poses of 32, four heads and the temperature are ours",
                "pictures and words, where the paper has films, sound and words, and a loss for "
                "each pair of them",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(parts.BERT_BASE, parts.MEAN, CapsuleHead(out=1024)),
                parts.image_tower(parts.RESNET_152, parts.MEAN, CapsuleHead(out=1024)),
            ),
            objective=Align(contrast=Contrastive(temperature=0.07, both_ways=True)),
            stages=(STAGE,),
            nano=(
                parts.text_tower(
                    parts.NANO_WORDS, parts.LAST, CapsuleHead(out=96, capsules=16, pose=16)
                ),
                parts.image_tower(
                    parts.NANO_PICTURES, parts.MEAN, CapsuleHead(out=96, capsules=16, pose=16)
                ),
            ),
            smol=(
                parts.text_tower(parts.MINILM, parts.FIRST, CapsuleHead(out=512, capsules=64)),
                parts.image_tower(
                    parts.LITE_PICTURES, parts.MEAN, CapsuleHead(out=512, capsules=64)
                ),
            ),
            smol_stages=(parts.HEADS,),
        ),
    )
)
