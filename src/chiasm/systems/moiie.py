"""MoIIE: experts for vision, for language, and for both; each modality has a router of its own."""

from chiasm.data.pixels import SIGLIP
from chiasm.experts import Balance, MixtureOfExperts, Router, TopProbabilities
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.hosts import PHI_3_MINI
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.stream import MEDIA, TEXT

SYSTEM = register(
    System(
        slug="moiie",
        no=188,
        parent="llava-1.5",
        card=Card(
            paper="MoIIE: Mixture of Intra- and Inter-Modality Experts for Large Vision Language "
            "Models (arXiv 2508.09779)",
            differs="every second feed-forward has one vision expert, two shared ones and one "
            "language expert; a row takes two of its modality's three",
            claim="5.5B (Phi-3-mini) and 11.3B (Llama-3-8B) active parameters match or beat "
            "larger mixtures; the gap to dense and to a hard split widens with data",
            checks=(
                "copied experts and renormalised weights give the dense logits",
                "active parameters are 5.5B with Phi-3-mini and 11.3B with Llama-3-8B",
                "vision never reaches the language expert, text never the vision expert",
                "shared experts receive gradient from both",
                "with every expert open to every row it is a vanilla mixture",
            ),
            story=("in the release the last visual row of a run counts as text; here it does not",),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(
                experts=MixtureOfExperts(
                    kinds=(TEXT, MEDIA),
                    router=Router(
                        eligibility=((False, True, True, True), (True, True, True, False)),
                        selection=TopProbabilities(2, renormalise=True),
                        penalties=(Balance(coefficient=1e-3),),
                        apart=True,
                    ),
                    hidden=None,
                    shared=0,
                    first=1,
                    stride=2,
                    adapters=(),
                    expert_lora=None,
                )
            ),
            paper=dict(
                views=Fixed(384, 384), pixels=SIGLIP, encoder=SIGLIP_SO400M_384, host=PHI_3_MINI
            ),
        ),
    )
)
