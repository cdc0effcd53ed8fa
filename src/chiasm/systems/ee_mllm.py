"""EE-MLLM: composite attention; visual rows pass the feed-forward but make no queries."""

from chiasm.fusion import InSequence, VisualPath
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="ee-mllm",
        no=14,
        parent="llava-1.5",
        card=Card(
            paper="EE-MLLM: A Data-Efficient and Compute-Efficient Multimodal Large Language Model "
            "(arXiv 2408.11795)",
            differs="only text rows query; visual rows evolve through the host's own feed-forward "
            "(visual_path=ffn), or also read their own value (visual_path=diag)",
            claim="FLOPs -24%, prefill 277 to 79 ms on one H800, parity on MMBench and SEED",
            checks=(
                "it holds as many parameters as LLaVA",
                "a visual row in any layer depends on its own input token only",
                "diag equals dense attention with an identity block among visual rows",
                "without an image the host's logits are reproduced bit for bit",
            ),
        ),
        scales=derive(VISION_LANGUAGE, every=dict(fusion=InSequence(VisualPath.FFN))),
    )
)
