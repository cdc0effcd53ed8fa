"""LLaVA-Mini: text reads all patches in a few layers before the stack; one visual token goes on."""

from chiasm.compression import QueryCompression
from chiasm.fusion import PreFusion
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="llava-mini",
        no=142,
        parent="llava-1.5",
        card=Card(
            paper="LLaVA-Mini: Efficient Image and Video Large Multimodal Models with One Vision "
            "Token (arXiv 2501.03895)",
            differs="a learned query keeps one token an image; 4 decoder layers before the stack "
            "let text read all patches, which are then dropped",
            claim="LLaVA-1.5-7B with 576 visual and 64 text tokens: 8.50 to 1.91 TFLOPs (-77%)",
            checks=(
                "the host's prefill holds text and kept tokens only",
                "permuting patches with their sine positions leaves the kept tokens equal",
                "answer tokens never reach the pre-fusion's output",
                "pre-fusion adds 4 x 202.4M = 810M parameters",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(compression=QueryCompression(side=1, heads=4), fusion=PreFusion(layers=1)),
            smol=dict(compression=QueryCompression(side=1, heads=8), fusion=PreFusion(layers=4)),
            paper=dict(compression=QueryCompression(side=1, heads=8), fusion=PreFusion(layers=4)),
        ),
    )
)
