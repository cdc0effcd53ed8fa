"""Headline figures of adapters: how much is taught beside a frozen host."""

from chiasm.assemble import build
from chiasm.catalogue.claim import Claim
from chiasm.embedders.building import build as build_embedder
from chiasm.embedders.model import learns
from chiasm.spec import system

MILLION = 1e6


def held(slug: str, part: str) -> float:
    """Million parameters of one part, at the published sizes."""
    model = build(system(slug), "paper", device="meta")
    return sum(parameter.numel() for parameter in model.part(part)) / MILLION


def beside_the_host(slug: str) -> float:
    """Million parameters that adapters add to the decoder alone."""
    model = build(system(slug), "paper", device="meta")
    named = model.decoder.named_parameters()
    return sum(p.numel() for name, p in named if ".experts." in name) / MILLION


def beside_the_towers(slug: str, *parts: str) -> float:
    """Million parameters of these parts of an embedder, at the published sizes."""
    named = build_embedder(slug, "paper", device="meta").named_parameters()
    return sum(p.numel() for name, p in named if learns(name, parts)) / MILLION


def called(slug: str, name: str) -> float:
    """Million parameters of an embedder whose names hold this one."""
    named = build_embedder(slug, "paper", device="meta").named_parameters()
    return sum(p.numel() for own, p in named if name in own) / MILLION


CLAIMS = (
    Claim(
        slug="adalink",
        figure="parameters taught",
        setting="d = 4096, two modalities at r = 64: 2 d r each",
        paper=1.05,
        ours=lambda: held("adalink", "fusion"),
        unit="M",
    ),
    Claim(
        slug="pill",
        figure="parameters of adapters and gates",
        setting="Llama-2-7B, r = 32: 32 (9 d r + 32 d)",
        paper=41.94,
        ours=lambda: held("pill", "experts"),
        unit="M",
    ),
    Claim(
        slug="textharmony",
        figure="parameters of low-rank experts in the language model",
        setting="Vicuna-13B, three of r = 32 on q, k, v and o",
        paper=157.3,
        ours=lambda: beside_the_host("textharmony"),
        unit="M",
    ),
    Claim(
        slug="cola",
        figure="parameters taught",
        setting="d = 512: one layer over both, one that reads, a query, 768 to 512",
        paper=7.752704,
        ours=lambda: beside_the_towers("cola", "image.head", "score"),
        unit="M",
    ),
    Claim(
        slug="cpe-clip",
        figure="parameters taught",
        setting="12 layers of 2 rows of 512, and a map of 512 to 768",
        paper=0.406272,
        ours=lambda: beside_the_towers("cpe-clip", "clip.prompts"),
        unit="M",
    ),
    Claim(
        slug="m2-clip",
        figure="parameters of its adapters over time",
        setting="12 of 768 to 384, a convolution of 3 frames and one of 3 x 3 places",
        paper=14.25,
        ours=lambda: called("m2-clip", ".adapters.layers."),
        unit="M",
        note="the last layer's patches are read by nothing: their convolution is left out there",
    ),
    Claim(
        slug="uniadapter",
        figure="parameters of shared adapters",
        setting="12 layers, r = 512: one map down, three up, two norms",
        paper=18.95,
        ours=lambda: called("uniadapter", ".adapters.layers."),
        unit="M",
    ),
)
