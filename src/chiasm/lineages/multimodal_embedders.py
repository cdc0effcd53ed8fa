"""Multimodal language models as embedders: one tower that reads everything, at three scales."""

from dataclasses import replace
from typing import Any

from chiasm.connectors import MLP, ShuffleMLP, Unchanged
from chiasm.data.pixels import CLIP, SIGLIP
from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import (
    Agreement,
    Align,
    Alone,
    Backbone,
    Cosine,
    EveryToken,
    LastToken,
    LateInteraction,
    ManyVectors,
    NestedSizes,
    OneVector,
    OtherOutput,
    Output,
    Prompt,
    Tower,
    Unprojected,
)
from chiasm.encoders import GridVision
from chiasm.experts import AdaptedWeights, LoRA, SharedWeights
from chiasm.experts.adapters import EVERY_SITE
from chiasm.heads.none import NoHead
from chiasm.lineages.embedders import NANO_PICTURES
from chiasm.lineages.encoders import SIGLIP_SO400M_448, VIT_B_CLASSES
from chiasm.lineages.hosts import LLAMA_3_2_3B, MISTRAL_7B, NANO, QWEN2_7B, QWEN2_VL_2B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.objectives import Contrastive
from chiasm.positions import MultimodalRotary
from chiasm.spec import Answers, Fixed, Host, Scale, Stage, Teaching, Tiles, WholePatches
from chiasm.spec.embedder import EmbedderAnswers
from chiasm.stream import Modality

EVERYTHING = tuple(one for one in Modality if one not in (Modality.LATENT, Modality.LEARNED))
LAST = Output(reduce=LastToken(), project=Unprojected(), gives=OneVector())
COSINE, PROMPT, FEW = Cosine(), Prompt(marker="<|im_end|>"), 24
MARKERS = ("<eos>", "<|im_end|>")
"""Of the nano and the smol tokenizer."""
EVERY = Output(reduce=EveryToken(), project=Unprojected(), gives=ManyVectors())
BOTH_WAYS = Batches(tasks=(TEXT_TO_PICTURE, PICTURE_TO_TEXT), block=64)
SOFT = Align(contrast=Contrastive(temperature=0.07))
"""What small batches bear."""
LATE = Align(contrast=Contrastive(temperature=0.05))
"""The same for means over a query's tokens."""

NANO_ANSWERS = replace(
    VISION_LANGUAGE[Scale.NANO],
    encoder=NANO_PICTURES.encoder,
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


LLAVA_MISTRAL = replace(
    VISION_LANGUAGE[Scale.PAPER], head=NoHead(), host=MISTRAL_7B, template="chatml"
)
"""LLaVA-Next's picture side at its global view, 576 tokens, before Mistral-7B."""

BERT_BASE = Host(
    vocabulary=30_522,
    width=768,
    depth=12,
    heads=12,
    kv_heads=12,
    head_width=64,
    ff_width=3072,
    norm_eps=1e-12,
    query_key_value_bias=True,
    output_bias=True,
    mlp_bias=True,
    activation="gelu",
    arrangement="post",
    norm="layer",
    gated=False,
    positions="learned",
    embedding_norm=True,
    final_norm=False,
    tied_head=True,
    max_positions=512,
)
"""BERT's sizes, without its table of token types."""
BGE_EVA = replace(
    NANO_ANSWERS,
    views=Fixed(224, 224),
    pixels=CLIP,
    encoder=replace(VIT_B_CLASSES, taps=(-1,), drop_first=None),
    host=BERT_BASE,
    template="chatml",
)
"""BGE-base behind a ViT-B/16 in CLIP's blocks: 196 tokens."""

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
    paper: Answers, adapters: AdaptedWeights | None, prompt: Prompt = PROMPT, **changes: Any
) -> dict[Scale, tuple[Tower, ...]]:
    """The one tower at three scales: taught whole at nano, by adapters (if any) at the others;
    `changes` are answers of all three. Smaller scales have markers of their own.
    """
    experts = SharedWeights() if adapters is None else adapters
    marked = [replace(prompt, marker=one if prompt.marker else "") for one in MARKERS]
    return {
        Scale.NANO: (tower(replace(NANO_ANSWERS, **changes), marked[0]),),
        Scale.SMOL: (tower(replace(SMOL_ANSWERS, experts=experts, **changes), marked[1]),),
        Scale.PAPER: (tower(replace(paper, experts=experts, **changes), prompt),),
    }


def one_sequence(
    encode: dict[Scale, tuple[Tower, ...]],
    *,
    objective: Any,
    stages: tuple[Stage, ...],
    small: Any = None,
    batches: Batches = BOTH_WAYS,
    nano_stages: tuple[Stage, ...] = (SCRATCH,),
    smol_stages: tuple[Stage, ...] = (ADAPTED,),
    outputs: tuple[Output, ...] = (LAST,),
    small_outputs: tuple[Output, ...] | None = None,
    score: Any = COSINE,
) -> dict[Scale, EmbedderAnswers]:
    """Everything of an item in one sequence of one model. `small` is taught at nano and smol, whose
    batches are too small for the published temperature, `small_outputs` likewise; None: the same as
    at paper scale.
    """
    softer = objective if small is None else small
    fewer = outputs if small_outputs is None else small_outputs
    few = replace(batches, chunk=None, block=None if batches.block is None else FEW)
    taught = {
        Scale.NANO: (Teaching(objective=softer, stages=nano_stages), few),
        Scale.SMOL: (Teaching(objective=softer, stages=smol_stages), few),
        Scale.PAPER: (Teaching(objective=objective, stages=stages), batches),
    }
    return {
        scale: EmbedderAnswers(
            encode=encode[scale],
            fuse=Alone(),
            outputs=outputs if scale is Scale.PAPER else fewer,
            score=score,
            teaching=teaching,
            batches=held,
        )
        for scale, (teaching, held) in taught.items()
    }


def dense_and_late(contrast: Contrastive, sizes: tuple[int, ...]) -> Align:
    """The contrast of the first output, whole and at nested sizes, and of the second, compared
    late; and their agreement (jina-embeddings-v4, arXiv 2506.18902), all weighing 1.
    """
    late = OtherOutput(output=1, score=LateInteraction(mean=True), contrast=contrast)
    agree = Agreement(other=late, temperature=contrast.temperature)
    nested = NestedSizes(sizes=sizes, contrast=contrast)
    return Align(contrast=contrast, terms=(late, agree, nested))
