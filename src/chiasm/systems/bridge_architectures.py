"""Bridges on NLVR2: soft tokens of a frozen encoder, and of objects, before a causal model."""

from dataclasses import replace

from chiasm.connectors import Bridge
from chiasm.experts import AdaptedWeights, LoRA
from chiasm.experts.adapters import ATTENTION
from chiasm.lineages.encoders import CLIP_L_224
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.hosts import VICUNA_7B
from chiasm.lineages.teaching import experts_beside
from chiasm.spec import Card, Fixed, System, derive, register

TUNED = AdaptedWeights((LoRA(sites=ATTENTION, rank=8, alpha=16.0, dropout=0.0),))

SYSTEM = register(
    System(
        slug="bridge-architectures",
        no=57,
        parent="llava-1.5",
        card=Card(
            paper="Bridging the Gap: Exploring the Capabilities of Bridge-Architectures for "
            "Complex Visual Reasoning Tasks (arXiv 2307.16395)",
            differs="an image is k soft tokens of its mean feature and m of its objects, each with "
            "its box; the encoder is frozen, the host tuned by LoRA at most",
            claim="object tokens bring no gain on NLVR2; multimodal pre-training is what matters; "
            "below fully pre-trained cross-attention (ViLT 75.7 dev)",
            checks=(
                "with a map of zeros, what objects look like changes nothing",
                "without objects it is a bridge of k tokens",
                "frozen parameters stay bit-identical",
                "two images take 2 (k + m) rows",
            ),
            story=(
                "k = 4, m = 10, the rank and the host are ours; the ten cells of the longest "
                "features stand in for a detector's most certain boxes",
                "which of the two images a token is of, its place in the prompt tells",
            ),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(connector=Bridge(), experts=TUNED),
            paper=dict(
                views=Fixed(224, 224),
                encoder=replace(CLIP_L_224, taps=()),
                teaching=experts_beside(learning_rate=1e-4),
                host=VICUNA_7B,
            ),
        ),
    )
)
