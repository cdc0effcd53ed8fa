"""AnyMAL: a Perceiver resampler aligns a frozen encoder with a frozen host of 70 billion."""

from chiasm.lineages.connecting import ANY_MAL, low_rank, resampled
from chiasm.lineages.encoders import CLIP_L_224
from chiasm.lineages.hosts import LLAMA_2_70B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="anymal",
        no=171,
        parent="llava-1.5",
        card=Card(
            paper="AnyMAL: An Efficient and Scalable Any-Modality Augmented Language Model "
            "(arXiv 2309.16058)",
            differs="64 resampled latents before the text; only the resampler learns alignment, "
            "beside a host in 8 bits, and then low-rank deltas of the host learn instructions",
            claim="zero-shot, relative to earlier models: VQAv2 +7.0%, COCO CIDEr +8.4%",
            checks=(
                "the first stage leaves every byte of the host as it was",
                "a host in 8 bits gives the aligner gradients of cosine above 0.99",
                "64 tokens for any picture",
                "several inputs stand side by side without any teaching of the pair",
                "with deltas at 0, it is the model of the first stage",
            ),
            story=("images only; the resampler's heads, sites and rank of the deltas are ours",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=resampled(16, 1, 4, 32), experts=low_rank(4)),
            smol=dict(connector=resampled(32, 2, 8, 64), experts=low_rank(16), teaching=ANY_MAL),
            paper=dict(
                views=Fixed(224, 224),
                encoder=CLIP_L_224,
                connector=resampled(64, 6, 16, 64),
                experts=low_rank(64),
                teaching=ANY_MAL,
                host=LLAMA_2_70B,
            ),
        ),
    )
)
