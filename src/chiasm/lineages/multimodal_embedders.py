"""Multimodal language models as embedders: one tower that reads everything, at three scales."""

from dataclasses import replace
from typing import Any

from chiasm.connectors import MLP, ShuffleMLP, Unchanged
from chiasm.data.pixels import CLIP, SIGLIP
from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import (
    Align,
    Alone,
    Backbone,
    Cosine,
    EveryToken,
    LastToken,
    ManyVectors,
    OneVector,
    Output,
    Prompt,
    Tower,
    Unprojected,
)
from chiasm.encoders import GridVision, VisionTransformer
from chiasm.experts import AdaptedWeights, LoRA
from chiasm.experts.adapters import EVERY_SITE
from chiasm.heads.none import NoHead
from chiasm.lineages.encoders import SIGLIP_SO400M_448
from chiasm.lineages.hosts import LLAMA_3_2_3B, NANO, QWEN2_7B, QWEN2_VL_2B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.objectives import Contrastive
from chiasm.positions import MultimodalRotary
from chiasm.spec import Answers, Host, Scale, Stage, Teaching, Tiles, WholePatches
from chiasm.spec.embedder import EmbedderAnswers
from chiasm.stream import Modality

EVERYTHING = tuple(one for one in Modality if one not in (Modality.LATENT, Modality.LEARNED))
LAST = Output(reduce=LastToken(), project=Unprojected(), gives=OneVector())
COSINE, PROMPT, FEW = Cosine(), Prompt(marker="<|im_end|>"), 24
EVERY = Output(reduce=EveryToken(), project=Unprojected(), gives=ManyVectors())
BOTH_WAYS = Batches(tasks=(TEXT_TO_PICTURE, PICTURE_TO_TEXT), block=64)
SOFT = Align(contrast=Contrastive(temperature=0.07))
"""What small batches bear."""
LATE = Align(contrast=Contrastive(temperature=0.05))
"""The same for means over a query's tokens."""

NANO_ANSWERS = replace(
    VISION_LANGUAGE[Scale.NANO],
    encoder=VisionTransformer(
        patch=16,
        width=96,
        depth=0,
        heads=3,
        ff_width=192,
        stem=(24, 48, 96, 96),
        residual=1,
        position_scale=0.1,
    ),
    connector=MLP(),
    head=NoHead(),
    host=replace(NANO, width=96, depth=2, heads=3, kv_heads=3, ff_width=192),
)
"""16 picture tokens and words, two layers."""
SMOL_ANSWERS = replace(VISION_LANGUAGE[Scale.SMOL], head=NoHead())
"""SmolLM2-135M behind EfficientNet-Lite0's 7 x 7 tokens, both packaged."""

QWEN2_5_VL_3B = replace(QWEN2_VL_2B, width=2048, depth=36, heads=16, ff_width=11_008)
"""The text side of Qwen2.5-VL-3B."""
QWEN2_VL_7B = replace(QWEN2_7B, rope_sections=(16, 24, 24))


def qwen2_vl(host: Host) -> Answers:
    """Qwen2-VL (arXiv 2409.12191) as transformers builds it, without its head."""
    return replace(
        NANO_ANSWERS,
        views=WholePatches(patch=28, most=1280),
        pixels=replace(CLIP, fit="native"),
        encoder=GridVision(package="qwen2_vl", settings=(("hidden_size", host.width),)),
        connector=Unchanged(),
        positions=MultimodalRotary(),
        host=replace(host, rope_sections=(16, 24, 24), tied_head=False),
        template="chatml",
    )


def qwen2_5_vl(host: Host) -> Answers:
    """Qwen2.5-VL (arXiv 2502.13923) likewise; its tower sees everything in every layer."""
    vision = GridVision(package="qwen2_5_vl", settings=(("out_hidden_size", host.width),))
    return replace(qwen2_vl(host), encoder=vision)


EAGLE_3B = replace(
    NANO_ANSWERS,
    views=Tiles(side=448, most=6, tagged=False),
    pixels=SIGLIP,
    encoder=SIGLIP_SO400M_448,
    connector=ShuffleMLP(factor=2),
    host=LLAMA_3_2_3B,
    template="chatml",
)
"""Eagle 2 (arXiv 2501.14818): up to six tiles and a thumbnail, 256 tokens each."""


def lora(rank: int, alpha: float, dropout: float = 0.0) -> AdaptedWeights:
    """Low-rank deltas beside every matrix of the language model."""
    return AdaptedWeights((LoRA(sites=EVERY_SITE, rank=rank, alpha=alpha, dropout=dropout),))


def tower(answers: Answers, prompt: Prompt) -> Tower:
    """Reads parts of all kinds, and leaves its states as they are."""
    return Tower(
        name="item",
        reads=EVERYTHING,
        encoder=Backbone(answers=answers, prompt=prompt),
        reduce=EveryToken(),
        project=Unprojected(),
    )


def read_by(
    paper: Answers, adapters: AdaptedWeights, prompt: Prompt = PROMPT, **changes: Any
) -> dict[Scale, tuple[Tower, ...]]:
    """The one tower at three scales: taught whole at nano, by adapters at the others; `changes`
    are answers of all three.
    """
    small = replace(NANO_ANSWERS, **changes)
    return {
        Scale.NANO: (tower(small, replace(prompt, marker="<eos>")),),
        Scale.SMOL: (tower(replace(SMOL_ANSWERS, experts=adapters, **changes), prompt),),
        Scale.PAPER: (tower(replace(paper, experts=adapters, **changes), prompt),),
    }


def one_sequence(
    encode: dict[Scale, tuple[Tower, ...]],
    *,
    objective: Any,
    stages: tuple[Stage, ...],
    small: Any = None,
    batches: Batches = BOTH_WAYS,
    outputs: tuple[Output, ...] = (LAST,),
    score: Any = COSINE,
) -> dict[Scale, EmbedderAnswers]:
    """Everything of an item in one sequence of one model. `small` is taught at nano and smol, whose
    batches are too small for the published temperature; None: the objective itself.
    """
    softer = objective if small is None else small
    few = replace(batches, chunk=None, block=None if batches.block is None else FEW)
    taught = {
        Scale.NANO: (Teaching(objective=softer, stages=(SCRATCH,)), few),
        Scale.SMOL: (Teaching(objective=softer, stages=(ADAPTED,)), few),
        Scale.PAPER: (Teaching(objective=objective, stages=stages), batches),
    }
    return {
        scale: EmbedderAnswers(
            encode=encode[scale],
            fuse=Alone(),
            outputs=outputs,
            score=score,
            teaching=teaching,
            batches=held,
        )
        for scale, (teaching, held) in taught.items()
    }


SCRATCH = Stage(
    name="scratch",
    trained=("item", "output", "score"),
    learning_rate=1e-3,
    batch=48,
    clip=5.0,
)
"""One stage, everything taught."""

ADAPTED = Stage(
    name="adapters",
    trained=("item.experts", "item.connector", "output", "score"),
    learning_rate=2e-4,
    batch=16,
)
"""Adapters, the connector and the heads, beside a frozen encoder and language model."""
