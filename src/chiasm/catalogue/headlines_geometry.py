"""Headline figures of connectors and of how images are cut: parameters and tokens."""

from dataclasses import replace
from typing import cast

from torch import device
from torch.nn import Module

from chiasm.assemble import build
from chiasm.catalogue.claim import Claim
from chiasm.connectors import LDP, PooledLDP
from chiasm.encoders import WindowLoRA
from chiasm.lineages.teaching import scaled_rate
from chiasm.spec import Connector, Size, Windows, geometry, system


def size(of: Connector, width: int, host_width: int) -> int:
    """Parameters of a connector between two widths; nothing is allocated."""
    with device("meta"):
        module = cast(Module, of.build(width, host_width))
    return sum(p.numel() for p in module.parameters())


def tokens(slug: str, image: Size, *, pictures: int = 1) -> int:
    """Rows that pictures of one size take at the published scale."""
    each = geometry(system(slug).at("paper"), image, [image] * (pictures - 1))
    return pictures * each.placeholders


def connector(slug: str) -> int:
    """Parameters of a system's connector at the published scale."""
    return sum(
        p.numel()
        for p in build(system(slug).at("paper"), device="meta", seed=None).part("connector")
    )


def of_windows(windows: int) -> int:
    """Parameters of Monkey's low-rank sets, over all layers of its encoder."""
    encoder: WindowLoRA = system("monkey").at("paper").encoder  # pyright: ignore
    model = build(
        replace(system("monkey").at("paper"), encoder=replace(encoder, windows=windows)),
        device="meta",
        seed=None,
    )
    return sum(p.numel() for p in model.part("experts"))


def wide_windows() -> int:
    """Rows of Monkey's paper, 896 x 1344 pixels."""
    answers = system("monkey").at("paper")
    wide = replace(answers, views=Windows(side=448, rows=2, columns=3))
    return geometry(wide, (896, 1344)).placeholders


CLAIMS = (
    Claim(
        slug="mipha",
        figure="parameters of the projector",
        setting="1152 to 2560, two layers",
        paper=9_507_840,
        ours=lambda: connector("mipha"),
    ),
    Claim(
        slug="mipha",
        figure="tokens of an image",
        setting="SigLIP at 384 pixels, padded to a square",
        paper=729,
        ours=lambda: tokens("mipha", (300, 900)),
    ),
    Claim(
        slug="xmodel-vlm",
        figure="parameters of the projector",
        setting="strips of 4 tokens of width 1024 to 2048",
        paper=12_587_008,
        ours=lambda: connector("xmodel-vlm"),
    ),
    Claim(
        slug="mobilevlm",
        figure="parameters of the projector",
        setting="1024 to 2048",
        paper=18_936_832,
        ours=lambda: connector("mobilevlm"),
    ),
    Claim(
        slug="mobilevlm",
        figure="parameters of the projector",
        setting="1024 to 2560",
        paper=28_913_920,
        ours=lambda: size(LDP(), 1024, 2560),
    ),
    Claim(
        slug="mobilevlm",
        figure="parameters of the second version's projector",
        setting="1024 to 2048",
        paper=6_316_032,
        ours=lambda: size(PooledLDP(side=12), 1024, 2048),
    ),
    Claim(
        slug="ovis",
        figure="parameters of the visual table",
        setting="131,072 words of width 4096",
        paper=536_870_912,
        ours=lambda: connector("ovis") - 134_477_820,
    ),
    Claim(
        slug="pixtral",
        figure="rows of an image",
        setting="1024 x 1024 pixels, a break after every row",
        paper=4160,
        ours=lambda: tokens("pixtral", (1024, 1024)),
    ),
    Claim(
        slug="smolvlm",
        figure="tokens of 17 views",
        setting="2.2B, blocks of 3 x 3 patches",
        paper=1377,
        ours=lambda: tokens("smolvlm", (1536, 1536)),
    ),
    Claim(
        slug="mm1",
        figure="tokens of an image",
        setting="1344 x 1344 pixels, four crops and a thumbnail of 144",
        paper=720,
        ours=lambda: tokens("mm1", (1344, 1344)),
    ),
    Claim(
        slug="mm1",
        figure="peak learning rate, in millionths",
        setting="1.2 billion parameters, embeddings apart",
        paper=86,
        ours=lambda: 1e6 * scaled_rate(1.2e9),
    ),
    Claim(
        slug="muffin",
        figure="tokens of an image",
        setting="queries of the fusion encoder; its two marks apart",
        paper=64,
        ours=lambda: tokens("muffin", (600, 800)) - 2,
    ),
    Claim(
        slug="leopard",
        figure="most tokens of a sample",
        setting="one very large image: 49 tiles in a grid of 7 x 7 and the whole image",
        paper=8450,
        ours=lambda: tokens("leopard", (364 * 20, 364 * 20)),
    ),
    Claim(
        slug="monkey",
        figure="low-rank parameters",
        setting="4 windows, 48 layers of width 1664",
        paper=51_118_656,
        ours=lambda: of_windows(4),
    ),
    Claim(
        slug="monkey",
        figure="tokens of an image",
        setting="896 x 1344 pixels, 6 windows and the whole image",
        paper=1792,
        ours=wide_windows,
    ),
)
