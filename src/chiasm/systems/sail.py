"""SAIL: no encoder; raw patches in a language model that sees a picture from both sides."""

from dataclasses import replace

from chiasm.connectors import Linear, Marked
from chiasm.encoders import RawPatches
from chiasm.lineages.hosts import MISTRAL_7B, NANO, SMOLLM2_135M
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.positions import Grid
from chiasm.spec import Card, System, WholePatches, derive, register
from chiasm.visibility import Causal, Everything, Sight, WithinBlock

SYSTEM = register(
    System(
        slug="sail",
        no=59,
        parent="llava-1.5",
        card=Card(
            paper="The Scalability of Simplicity: Empirical Analysis of Vision-Language Learning "
            "with a Single Transformer (arXiv 2504.10462)",
            differs="no encoder: a linear map of raw patches between two marks, which see each "
            "other in every layer; half of each head turns by row, half by column",
            claim="on 512M pairs it gains faster with data than a LLaVA-type twin",
            checks=(
                "text-only logits equal the host's own",
                "permuting patches with their positions leaves text logits equal",
                "the first patch depends on the last",
                "cached steps equal a full pass",
                "a picture of h x w patches takes hw + 2 rows",
            ),
            story=("the learned <vpatch> embedding is the bias of the linear map",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                connector=Marked(each=Linear()),
                visibility=Sight(sequence=Causal() | WithinBlock(), memory=Everything()),
                positions=Grid(),
            ),
            nano=dict(encoder=RawPatches(patch=8), host=replace(NANO, rope_sections=(8, 8))),
            smol=dict(
                encoder=RawPatches(patch=16),
                host=replace(SMOLLM2_135M, rope_sections=(16, 16)),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                views=WholePatches(patch=14, most=4096),
                encoder=RawPatches(patch=14),
                host=replace(MISTRAL_7B, rope_sections=(32, 32)),
                teaching=everything(learning_rate=5e-5),
                template="chatml",
            ),
        ),
    )
)
