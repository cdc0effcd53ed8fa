"""The control: the same host, taught on the same questions, looking at nothing."""

from chiasm.compression import NoCompression
from chiasm.connectors import NoConnector
from chiasm.encoders import NoEncoder
from chiasm.fusion import NoFusion
from chiasm.lineages.teaching import host_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, NoViews, System, derive, register

SYSTEM = register(
    System(
        slug="text-only",
        no=None,
        parent="llava-1.5",
        card=Card(
            paper="a control; no paper proposes it",
            differs="no image reaches the model: what it answers, the question alone gives away",
            claim="none; every image system must beat it with disjoint intervals",
            checks=(
                "its logits do not depend on the image",
                "no parameter belongs to an encoder, a connector or a fusion",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                views=NoViews(),
                encoder=NoEncoder(),
                connector=NoConnector(),
                compression=NoCompression(),
                fusion=NoFusion(),
            ),
            smol=dict(teaching=host_only(learning_rate=1e-4)),
            paper=dict(teaching=host_only(learning_rate=2e-5)),
        ),
    )
)
