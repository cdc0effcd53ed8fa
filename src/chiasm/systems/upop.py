"""UPop: two streams that lost half of their channels, wherever a search found them superfluous."""

from chiasm.lineages.two_streams import HALF_STREAMS
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="upop",
        no=224,
        parent="vilbert",
        card=Card(
            paper="UPop: Unified and Progressive Pruning for Compressing Vision-Language "
            "Transformers (arXiv 2301.13741)",
            differs="half the channels of heads and half the hidden units, in both streams and in "
            "what joins them; which, and how many a layer, is searched while the wide model learns",
            claim="NLVR2 81.1 against 83.1 unpruned at half the size; VQAv2 76.3 against 77.5",
            checks=(
                "the searched model and the sliced one agree to 1e-5",
                "the share to be removed rises to its goal",
                "the weighted share of removed vectors is the goal's, within one vector",
                "the number of heads stays, the width of heads shrinks by layer",
            ),
            story=(
                "the spec states equal widths; `chiasm.training.unified_search` finds others, and "
                "`chiasm.pruning.sliced` writes them into the spec",
                "two streams stand in for BLIP's encoders; its own sizes are not rebuilt",
            ),
        ),
        scales=HALF_STREAMS,
    )
)
