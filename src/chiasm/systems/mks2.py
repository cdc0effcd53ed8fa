"""MKS2: a memory beside every feed-forward, taught on pictures and mixed in for words too."""

from chiasm.lineages.adapted import one_stage, remembering
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.hosts import VICUNA_13B
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="mks2",
        no=107,
        parent="llava-1.5",
        card=Card(
            paper="Towards Vision Enhancing LLMs: Empowering Multimodal Knowledge Storage and "
            "Sharing in LLMs (arXiv 2311.15759)",
            differs="beside every frozen feed-forward a memory of d/4 units, both mixed softly for "
            "every token; LoRA on the host's matrices",
            claim="Llama-2-13B: mean of 7 language sets 57.28 to 62.30, 60.12 without pictures in "
            "the second stage, 55.54 without the mixture too",
            checks=(
                "a gate that trusts the host alone gives the host's logits",
                "the first stage leaves every tensor of the host unchanged",
                "gates sum to 1 and get gradient from text alone",
            ),
            story=(
                "width, activation, the gate's first value and rank 16 for all are ours",
                "captions teach the memory; its retrieval loss over an [IMG] query is not built",
                "low-rank pairs learn in both stages, being of one part with the memory",
            ),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(experts=remembering(8)),
            smol=dict(teaching=one_stage("connector", "experts", learning_rate=5e-4)),
            paper=dict(
                experts=remembering(16),
                teaching=one_stage("connector", "experts", learning_rate=2e-4, batch=128),
                host=VICUNA_13B,
            ),
        ),
    )
)
