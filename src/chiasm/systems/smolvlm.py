"""SmolVLM: tiles of the longest edge, each of its tokens a block of patches, for a small host."""

from chiasm.connectors import ShuffleLinear
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import SMOLVLM_SO400M_384
from chiasm.lineages.hosts import SMOLLM2_1_7B
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, GridTiles, System, Tags, derive, register

AROUND = "<fake_token_around_image>"
TILE, WHOLE = AROUND + "<row_{row}_col_{column}>", "\n" + AROUND + "<global-img>"
TAGS = Tags(tile=TILE, line="\n", whole=WHOLE, close=AROUND)
FEW = Tags(tile="{row},{column}", line="\n", whole="\n")

SYSTEM = register(
    System(
        slug="smolvlm",
        no=47,
        parent="llava-1.5",
        card=Card(
            paper="SmolVLM: Redefining small and efficient multimodal models (arXiv 2504.05299)",
            differs="the longest edge is four tiles long; blocks of patches become one token each "
            "by a linear map; tiles are tagged, the whole image comes last",
            claim="256M answers within 1 GB and is above Idefics-80B; strong shuffling helps small "
            "hosts and costs reading",
            checks=(
                "17 views become 1,088 tokens in blocks of 4, 1,377 in blocks of 3",
                "the shuffle is a bijection",
                "views are transformers' own at 1,000 sizes",
                "logits equal transformers' SmolVLMForConditionalGeneration given equal weights",
            ),
            story=(
                "tags are special tokens where the tokenizer has them, else spelled",
                "frames of clips, which are not split, take views=Fixed; one stage stands for two",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                views=GridTiles(side=32, longest=64, tags=FEW), connector=ShuffleLinear(factor=2)
            ),
            smol=dict(
                views=GridTiles(side=256, longest=512, tags=FEW), connector=ShuffleLinear(factor=2)
            ),
            paper=dict(
                views=GridTiles(side=384, longest=1536, tags=TAGS),
                pixels=SIGLIP,
                encoder=SMOLVLM_SO400M_384,
                connector=ShuffleLinear(factor=3),
                host=SMOLLM2_1_7B,
                teaching=everything(learning_rate=1e-4),
                template="chatml",
            ),
        ),
    )
)
