"""Scaling laws for native models: patches and words in one decoder, taught from nothing."""

from chiasm.lineages.native import SPARSE
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="nmm-scaling",
        no=54,
        parent="llava-1.5",
        card=Card(
            paper="Scaling Laws for Native Multimodal Models (arXiv 2504.07951)",
            differs="no encoder: linear patches in one decoder of eight experts a layer, one a "
            "row, whatever its modality (`chiasm.lineages.native` has the dense and the late "
            "family); laws of loss are fitted by `chiasm.evaluation.scaling`",
            claim="late fusion has no advantage; early fusion wins while small; loss falls as "
            "C^-0.049; dense optimum N ~ C^0.53, D ~ C^0.47",
            checks=(
                "the fit finds E, A, a, B, b of synthetic losses within 2%",
                "exponents of the optimal sizes add up to 1",
                "FLOPs of all families are counted by one rule",
                "256 tokens stand for 224 x 224 pixels",
            ),
            story=(
                "figures of the claim are recalled; sizes of the host are ours",
                "the sequence is causal, pictures included",
            ),
        ),
        scales=SPARSE,
    )
)
