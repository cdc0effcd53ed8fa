"""Perceiver: a few latents read every pixel by cross-attention, again and again."""

from chiasm.connectors import MLP
from chiasm.encoders import LatentStack, Perceiver
from chiasm.lineages.hosts import SMOLLM2_135M
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

PUBLISHED = LatentStack(latents=512, width=1024, depth=6, repeats=8, heads=8, attends=8)
MIDDLE = LatentStack(latents=64, width=512, depth=4, repeats=4, heads=8, attends=4)
SMALL = LatentStack(latents=32, width=128, depth=2, repeats=2, heads=4, attends=2)

SYSTEM = register(
    System(
        slug="perceiver",
        no=49,
        parent="llava-1.5",
        card=Card(
            paper="Perceiver: General Perception with Iterative Attention (arXiv 2103.03206)",
            differs="no patches and no convolution: 50,176 pixels with Fourier features of their "
            "places are read by 512 latents, eight times",
            claim="ImageNet 78.0, and 78.0 with pixels permuted, where ResNet-50 falls to 39.4",
            checks=(
                "latents equal transformers' PerceiverModel given equal weights",
                "a joint permutation of pixels and places changes nothing",
                "parameters depend neither on the image nor on the number of repeats",
                "cost is linear in the number of pixels",
                "latents that read again see what the first read missed",
            ),
            story=("the paper classifies the mean latent; here a text decoder reads the latents",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=MLP()),
            nano=dict(encoder=Perceiver(stack=SMALL, bands=16, resolution=(64, 64))),
            smol=dict(
                views=Fixed(112, 112),
                encoder=Perceiver(stack=MIDDLE, bands=32, resolution=(112, 112)),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                views=Fixed(224, 224),
                encoder=Perceiver(stack=PUBLISHED),
                teaching=everything(learning_rate=4e-3),
                host=SMOLLM2_135M,
                template="chatml",
            ),
        ),
    )
)
