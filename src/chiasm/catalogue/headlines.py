"""The papers' headline figures, and how each is counted here."""

from dataclasses import replace
from functools import cache
from typing import Any

from chiasm.catalogue.claim import Claim
from chiasm.compression import PooledTokens
from chiasm.connectors import MLP
from chiasm.cost import Bill, count
from chiasm.cost.geometry import make_prompt
from chiasm.experts import AddedVision, VisionInside
from chiasm.fusion import InSequence
from chiasm.heads import TextHead
from chiasm.lineages.hosts import LLAMA_3_8B
from chiasm.positions import Fractional
from chiasm.spec import Fixed, system

TERA, GIGA, MILLION = 1e12, 1e9, 1e6


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


def altered(slug: str, **answers: Any) -> Bill:
    """The bill of a system with some answers of its published size replaced."""
    return count(replace(system(slug).at("paper"), **answers), name=slug)


def few_frames() -> Bill:
    """Slow-Fast's baseline: 16 frames, all in the sequence."""
    of: Any = system("slow-fast").at("paper")
    return count(
        replace(
            of,
            views=Fixed(16 * 252, 252),
            encoder=replace(of.encoder, frames=16),
            compression=PooledTokens(frames=16, kept_frames=16, side=None),
            fusion=InSequence(),
        ),
        text=64,
    )


def without_browsing(**sizes: Any) -> Bill:
    """Browse-concentrate's baseline: its Q-Former without a condition."""
    of: Any = system("browse-concentrate").at("paper")
    return count(replace(of, connector=replace(of.connector, browses=False)), **sizes)


def q_former() -> int:
    """Parameters of InstructBLIP's Q-Former, its map to the host apart."""
    of: Any = system("browse-concentrate").at("paper")
    projection = (of.connector.inner + 1) * of.host.width
    return without_browsing().parameters.by_part["connector"] - projection


def in_decoder(slug: str) -> float:
    """Parameters of the stack with its experts, embeddings and head."""
    parts = bill(slug).parameters.by_part
    return parts["decoder"] + parts["experts"] + parts["head"]


def aria_active() -> float:
    """Parameters that a text token passes, embeddings left out."""
    host = system("aria").at("paper").host
    return bill("aria").parameters.active - 2 * host.vocabulary * host.width


def plainly(slug: str, **sizes: Any) -> Bill:
    """The bill of a system with LLaVA-1.5's MLP in its connector's place."""
    return count(replace(system(slug).at("paper"), connector=MLP()), "paper", **sizes)


def added(slug: str, part: str) -> int:
    """Parameters of a part beside those of LLaVA-1.5's MLP in its connector's place."""
    own, plain = bill(slug).parameters.by_part, plainly(slug).parameters.by_part
    return own[part] - plain[part]


def host_parameters(slug: str) -> int:
    """Parameters of the language model alone."""
    found = bill(slug).parameters.by_part
    return found["decoder"] + found["head"]


def spanned(slug: str, step: int) -> float:
    """Positions that the picture of 3 x 4 tiles and its thumbnail take at a step of so many 256ths,
    the row before it at 0.
    """
    answers = replace(system(slug).at("paper"), positions=Fractional(fixed=step))
    table = make_prompt(answers, 2, None, (1344, 1792)).table
    return float(table.position[table.modality > 0].max())


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
        slug="ee-mllm",
        figure="share of FLOPs saved",
        setting="7B, 64 text and 2,304 visual tokens, the feed-forward reading",
        paper=0.24,
        ours=lambda: 1 - of_llava("ee-mllm", visual=2304, text=64),
        note="the paper names no token count; at 576 visual tokens 17% is saved, at 2,304 23%",
    ),
    Claim(
        slug="inverse-llava",
        figure="new parameters",
        setting="7B, the released F(v) in the first layer, low-rank deltas apart",
        paper=62_939_139,
        ours=lambda: altered(
            "inverse-llava", experts=VisionInside(first=AddedVision(width=1024), others=())
        ).parameters.by_part["experts"],
    ),
    Claim(
        slug="slow-fast",
        figure="decoder FLOPs that 128 frames add to 16",
        setting="7B, 64 text tokens, 81 tokens a frame; self-attention alone at 16 frames",
        paper=0.02,
        ours=lambda: decoder("slow-fast", text=64) / few_frames().part_flops("decoder") - 1,
        note="about 2% in the paper's terms, two digits of a small share",
    ),
    Claim(
        slug="moiie",
        figure="active parameters of a visual token",
        setting="Phi-3-mini, encoder and connector in",
        paper=5.5,
        ours=lambda: bill("moiie").parameters.active_visual / GIGA,
        unit="B",
    ),
    Claim(
        slug="moiie",
        figure="active parameters of a visual token",
        setting="Llama-3-8B, encoder and connector in",
        paper=11.3,
        ours=lambda: altered("moiie", host=LLAMA_3_8B).parameters.active_visual / GIGA,
        unit="B",
    ),
    Claim(
        slug="awaker",
        figure="added parameters",
        setting="Qwen2-VL-7B's decoder, low-rank experts and gates",
        paper=2.79,
        ours=lambda: bill("awaker").parameters.by_part["experts"] / GIGA,
        unit="B",
    ),
    Claim(
        slug="evev2",
        figure="added parameters",
        setting="Qwen2.5-7B, every weight of its layers doubled",
        paper=6_525_618_176,
        ours=lambda: bill("evev2").parameters.by_part["experts"],
    ),
    Claim(
        slug="aria",
        figure="parameters of the decoder",
        setting="28 layers, 64 routed and 2 shared experts, embeddings in",
        paper=24.9,
        ours=lambda: in_decoder("aria") / GIGA,
        unit="B",
    ),
    Claim(
        slug="aria",
        figure="active parameters of a text token",
        setting="embeddings and vision encoder out",
        paper=3.5,
        ours=lambda: aria_active() / GIGA,
        unit="B",
        note="6 routed and 2 shared experts of 28 layers are 3.60B; the paper rounds down",
    ),
    Claim(
        slug="aria",
        figure="active parameters of a visual token",
        setting="embeddings out, vision encoder and connector in",
        paper=3.9,
        ours=lambda: (
            (aria_active() + bill("aria").parameters.active_visual - bill("aria").parameters.active)
            / GIGA
        ),
        unit="B",
        note="3.60B of the decoder and 0.44B of the encoder; the paper adds the same to its 3.5B",
    ),
    Claim(
        slug="ml-mamba",
        figure="share of parameters saved",
        setting="encoder and all, against LLaVA-1.5-7B",
        paper=0.40,
        ours=lambda: 1 - bill("ml-mamba").parameters.total / bill("llava-1.5").parameters.total,
        note="the paper names no pair of models; against 7B more than 40% is saved",
    ),
    Claim(
        slug="bagel",
        figure="parameters",
        setting="both weight sets of Qwen2.5-7B, encoders in",
        paper=14.0,
        ours=lambda: bill("bagel").parameters.total / GIGA,
        unit="B",
        note="the paper's 14B are the two weight sets; the encoders and embeddings add the rest",
    ),
    Claim(
        slug="moda",
        figure="parameters added",
        setting="width 4096, two layers of 16 heads and 1,024 hidden units",
        paper=302.1,
        ours=lambda: added("moda", "connector") / MILLION,
        unit="M",
    ),
    Claim(
        slug="moda",
        figure="share of the host's parameters added",
        setting="Llama-3-8B, 8.03B parameters",
        paper=0.0376,
        ours=lambda: added("moda", "connector") / host_parameters("moda"),
    ),
    Claim(
        slug="moda",
        figure="share of prefill FLOPs added",
        setting="8B, 576 visual and 64 text tokens, dense pairs",
        paper=0.01,
        ours=lambda: (
            bill("moda", visual=576, text=64).prefill_flops
            / plainly("moda", visual=576, text=64).prefill_flops
            - 1
        ),
        note="the paper says under 1% without a setting; the adapter's parameters, which every "
        "visual token passes, are 3.8% of the host's",
    ),
    Claim(
        slug="emma",
        figure="parameters added and taught",
        setting="576 tokens of width 1024, 77 words of width 768",
        paper=1_164_160,
        ours=lambda: added("emma", "connector"),
    ),
    Claim(
        slug="browse-concentrate",
        figure="prefill FLOPs, times those without browsing",
        setting="Vicuna-7B, 64 text tokens, encoder and all",
        paper=2.0,
        ours=lambda: (
            bill("browse-concentrate", text=64).prefill_flops_executed
            / without_browsing(text=64).prefill_flops_executed
        ),
    ),
    Claim(
        slug="browse-concentrate",
        figure="parameters of the Q-Former",
        setting="BERT-base's sizes, 32 queries, cross-attention in every second layer",
        paper=188.0,
        ours=lambda: q_former() / MILLION,
        unit="M",
        note="32,000 words of the host for BERT's 30,522; the last layer's feed-forward of words, "
        "whose output is not read, is left out",
    ),
    Claim(
        slug="v1-revisit",
        figure="parameters added",
        setting="Qwen2.5-VL-7B, two maps of width 3584 with biases: 2 (d^2 + d)",
        paper=25_697_280,
        ours=lambda: (
            bill("v1-revisit").parameters.total
            - altered("v1-revisit", head=TextHead()).parameters.total
        ),
    ),
    Claim(
        slug="haplovl",
        figure="rows of an image",
        setting="672 x 672 pixels, 48 x 48 patches and a vector after each row",
        paper=2352,
        ours=lambda: bill("haplovl", image_size=(672, 672), text=1).rows - 1,
    ),
    Claim(
        slug="v2pe",
        figure="parameters",
        setting="InternVL2-2B, InternViT-300M in CLIP's blocks",
        paper=2.2,
        ours=lambda: bill("v2pe").parameters.total / GIGA,
        unit="B",
    ),
    Claim(
        slug="v2pe",
        figure="positions of 13 tiles",
        setting="3,328 tokens, s = 16",
        paper=208,
        ours=lambda: spanned("v2pe", 16),
    ),
    Claim(
        slug="v2pe",
        figure="positions of 13 tiles",
        setting="3,328 tokens, s = 1",
        paper=13,
        ours=lambda: spanned("v2pe", 1),
    ),
    Claim(
        slug="ep-alm",
        figure="parameters of the shared map",
        setting="OPT-2.7B, class tokens of width 768",
        paper=1_968_640,
        ours=lambda: bill("ep-alm").parameters.by_part["connector"],
    ),
    Claim(
        slug="ep-alm",
        figure="parameters of the soft prompt",
        setting="OPT-2.7B, 10 rows",
        paper=25_600,
        ours=lambda: bill("ep-alm").parameters.by_part["fusion"],
    ),
)
