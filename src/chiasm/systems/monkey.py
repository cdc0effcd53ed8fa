"""Monkey: windows over the image, each with low-rank weights of its own in a frozen encoder."""

from dataclasses import replace

from chiasm.connectors import PerceiverResampler
from chiasm.data.pixels import CLIP
from chiasm.encoders import WindowLoRA
from chiasm.lineages.encoders import LAYERED_NANO, LAYERED_SMOL, VIT_BIG_G_448
from chiasm.lineages.hosts import QWEN_7B
from chiasm.lineages.teaching import MONKEY, everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, Windows, derive, register

READ = PerceiverResampler(latents=256, depth=1, heads=16, head_width=104, project=True)

SYSTEM = register(
    System(
        slug="monkey",
        no=138,
        parent="llava-1.5",
        card=Card(
            paper="Monkey: Image Resolution and Text Label Are Important Things for Large "
            "Multi-modal Models (arXiv 2311.06607)",
            differs="four windows of 448 pixels and the whole image; each window has its own "
            "low-rank weights in a frozen encoder; 256 queries read every view",
            claim="above Qwen-VL at 448 pixels; Monkey-Chat: MMBench 72.4, MME 1887, OCRBench 534",
            checks=(
                "a fresh encoder gives each view the base's own features",
                "266,243 low-rank parameters a layer and window, 51,118,656 in all",
                "the gradient of window i stays in set i",
                "5 views are 1,280 tokens, 7 are 1,792; parts of images are refused",
            ),
            story=("a Perceiver layer is its cross-attention; encoders without weights learn too",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                views=Windows(side=32, rows=2, columns=2),
                encoder=WindowLoRA(base=LAYERED_NANO, windows=4, rank=4, inner_rank=8),
                connector=replace(READ, latents=4, heads=4, head_width=16),
            ),
            smol=dict(
                views=Windows(side=224, rows=2, columns=2),
                encoder=WindowLoRA(base=LAYERED_SMOL, windows=4),
                connector=replace(READ, latents=32, heads=6, head_width=64),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                views=Windows(side=448, rows=2, columns=2),
                pixels=replace(CLIP, fit="squash"),
                encoder=WindowLoRA(base=VIT_BIG_G_448, windows=4),
                connector=READ,
                host=QWEN_7B,
                teaching=MONKEY,
                template="chatml",
            ),
        ),
    )
)
