"""The papers' headline figures, and how each is counted here."""

from functools import cache
from typing import Any

from chiasm.catalogue.claims import Claim
from chiasm.cost import Bill, count

TERA, GIGA = 1e12, 1e9


@cache
def bill(slug: str, **sizes: Any) -> Bill:
    """A system's bill at the published size."""
    return count(slug, "paper", **sizes)


def decoder(slug: str, **sizes: Any) -> float:
    """FLOPs of the decoder's prefill over dense pairs, projectors apart."""
    return bill(slug, **sizes).part_flops("decoder")


def of_llava(slug: str, **sizes: Any) -> float:
    """FLOPs of a system over LLaVA-1.5's, decoder and connector."""
    return bill(slug, **sizes).prefill_flops / bill("llava-1.5", **sizes).prefill_flops


CLAIMS: tuple[Claim, ...] = (
    Claim(
        slug="saisa",
        figure="prefill FLOPs",
        setting="7B, 576 visual, 64 text tokens, dense pairs, projectors in, encoder and head out",
        paper=2.86,
        ours=lambda: bill("saisa", visual=576, text=64).prefill_flops / TERA,
        unit="TFLOPs",
    ),
    Claim(
        slug="saisa",
        figure="prefill FLOPs of its baseline, LLaVA-1.5",
        setting="the same",
        paper=8.53,
        ours=lambda: bill("llava-1.5", visual=576, text=64).prefill_flops / TERA,
        unit="TFLOPs",
    ),
    Claim(
        slug="llava-mini",
        figure="prefill FLOPs",
        setting="7B, 576 visual and 64 text tokens, projectors out",
        paper=1.91,
        ours=lambda: decoder("llava-mini", visual=576, text=64) / TERA,
        unit="TFLOPs",
    ),
    Claim(
        slug="ee-mllm",
        figure="share of FLOPs saved",
        setting="7B, 64 text and 2,304 visual tokens, the feed-forward reading",
        paper=0.24,
        ours=lambda: 1 - of_llava("ee-mllm", visual=2304, text=64),
        note="the paper names no token count; at 576 visual tokens 17% is saved, at 2,304 23%",
    ),
)
