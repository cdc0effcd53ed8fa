"""MMMModal: several images anywhere in a chat of many turns, each between marks of its own."""

from chiasm.connectors import MLP, Marked
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import SIGLIP_B_384
from chiasm.lineages.hosts import TINY_LLAMA_1_1B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="mmmmodal",
        no=162,
        parent="llava-1.5",
        card=Card(
            paper="MMMModal -- Multi-Images Multi-Audio Multi-turn Multi-Modal (arXiv 2402.11297)",
            differs="SigLIP-B's 576 patches through LLaVA-1.5's MLP, a learned mark before and "
            "after; images stand at any places of any turns, and indices say which is where",
            claim="a release of models for English and Malay; no comparison is made",
            checks=(
                "k images take 578 k rows",
                "images in another order, with their indices, leave logits equal",
                "a sample without images reads nothing of another's",
                "a clip of 30 s would be 487 tokens: a convolution of 40 states, stride 3",
            ),
            story=(
                "images only: no decoder here hears sound, so the second projector is not built",
                "of its hosts the smaller, TinyLlama; stages are LLaVA-1.5's",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=Marked(each=MLP())),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=SIGLIP_B_384,
                host=TINY_LLAMA_1_1B,
            ),
        ),
    )
)
