"""Macaw-LLM: a convolution leaves five tokens an image, each a mixture of the host's own words."""

from chiasm.data.pixels import CLIP
from chiasm.lineages.connecting import word_mixture
from chiasm.lineages.encoders import CLIP_B_224
from chiasm.lineages.hosts import NANO, SMOLLM2_135M, VICUNA_7B
from chiasm.lineages.teaching import without_alignment
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="macaw-llm",
        no=43,
        parent="llava-1.5",
        card=Card(
            paper="Macaw-LLM: Multi-Modal Language Modeling with Image, Audio, Video, and Text "
            "Integration (arXiv 2306.09093)",
            differs="patches convolved to a few tokens; each reads the whole table of the host's "
            "words and becomes a soft mixture of them, between two marks",
            claim="qualitative alone",
            checks=(
                "196 patches become 5 tokens, 1,176 of six frames 39, 1,500 of a sound 6; 2 marks",
                "without an image it is its host",
                "permuting the table's rows leaves tokens equal",
                "weights over all words and two further slots sum to 1",
            ),
            story=(
                "images only; they stand where the prompt has them, not behind its first token",
                "the convolution reads CLIP's patches without CLIP's own projection",
                "smol and paper teach connector and host in one stage; the encoder is frozen",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=word_mixture(5, 3, 128, NANO, 4)),
            smol=dict(
                connector=word_mixture(13, 9, 320, SMOLLM2_135M, 9),
                teaching=without_alignment(learning_rate=1e-4),
            ),
            paper=dict(
                views=Fixed(224, 224),
                pixels=CLIP,
                encoder=CLIP_B_224,
                connector=word_mixture(48, 36, 768, VICUNA_7B, 16),
                teaching=without_alignment(learning_rate=3e-5),
            ),
        ),
    )
)
