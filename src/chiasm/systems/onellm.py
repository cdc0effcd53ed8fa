"""OneLLM: one frozen encoder and one projection for everything, of stacks weighed by a router."""

from chiasm.data.pixels import CLIP
from chiasm.lineages.connecting import ONE_LLM, routed_projection
from chiasm.lineages.encoders import CLIP_L_CLASS
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="onellm",
        no=173,
        parent="llava-1.5",
        card=Card(
            paper="OneLLM: One Framework to Align All Modalities with Language (arXiv 2312.03700)",
            differs="30 learned queries pass three stacks of eight layers beside the features; a "
            "router weighs the stacks for each query; marks before and after",
            claim="one encoder and one projection stand with encoders of each modality's own on 25 "
            "sets over eight modalities",
            checks=(
                "30 tokens whatever comes in, and 2 marks",
                "with equal stacks the router has no say",
                "a query's weights sum to 1",
                "frames in another order are the same clip",
                "the encoder does not learn",
            ),
            story=(
                "images, and clips as the mean of their frames (chiasm.encoders.FrameMean); the "
                "other six modalities have no data here",
                "the router's hidden width is ours; the first stage begins with three stacks, not "
                "with one that is copied",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=routed_projection(16, 1, (4, 32), 256)),
            smol=dict(connector=routed_projection(30, 2, (6, 64), 1024)),
            paper=dict(
                views=Fixed(224, 224),
                pixels=CLIP,
                encoder=CLIP_L_CLASS,
                connector=routed_projection(30, 8, (16, 64), 2816),
                teaching=ONE_LLM,
            ),
        ),
    )
)
