"""Encoders as trunks: raw patches and words in one bidirectional transformer that also answers."""

from dataclasses import replace

from chiasm.connectors import PatchEmbedding
from chiasm.encoders import RawPatches
from chiasm.fusion import SingleStream
from chiasm.lineages.hosts import NANO, SMOLLM2_135M
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.positions import Apart, Sequential
from chiasm.spec import Fixed, Host, derive
from chiasm.visibility import Causal, Everything, PromptSeesPrompt, Sight

PREFIX = Sight(sequence=Causal() | PromptSeesPrompt(), memory=Everything())
"""Bidirectional over the prompt; an answer is spelt from left to right."""

VIT_B = Host(
    vocabulary=30_522,
    width=768,
    depth=12,
    heads=12,
    kv_heads=12,
    head_width=64,
    ff_width=3072,
    norm="layer",
    norm_eps=1e-12,
    query_key_value_bias=True,
    output_bias=True,
    mlp_bias=True,
    gated=False,
    activation="gelu",
    positions="learned",
    max_positions=512,
    tied_head=True,
    family="encoder",
)
"""ViT-B's layers (pre-norm) over BERT's vocabulary."""

BERT_BASE = replace(VIT_B, arrangement="post", embedding_norm=True, final_norm=False)
"""BERT-base's layers: the norm follows the sum."""

NANO_TRUNK = replace(
    NANO,
    ff_width=512,
    norm="layer",
    query_key_value_bias=True,
    output_bias=True,
    mlp_bias=True,
    gated=False,
    activation="gelu",
    positions="learned",
    max_positions=512,
    family="encoder",
)
"""A small ViT layer; norms of queries and keys keep it teachable within a minute."""

SINGLE_STREAM = derive(
    VISION_LANGUAGE,
    every=dict(visibility=PREFIX, fusion=SingleStream(), positions=Apart()),
    nano=dict(
        encoder=RawPatches(patch=8),
        connector=PatchEmbedding(side=(8, 8), initial_std=0.1),
        host=NANO_TRUNK,
    ),
    smol=dict(
        encoder=RawPatches(patch=16),
        connector=PatchEmbedding(side=(14, 14)),
        fusion=SingleStream(norm_text=False),
        positions=Sequential(),
        teaching=everything(learning_rate=1e-4),
        host=SMOLLM2_135M,
    ),
    paper=dict(
        views=Fixed(384, 640),
        encoder=RawPatches(patch=32),
        connector=PatchEmbedding(side=(12, 12)),
        fusion=SingleStream(segments=2),
        teaching=everything(learning_rate=1e-4),
        host=VIT_B,
        template="chatml",
    ),
)
"""ViLT (arXiv 2102.03334) at its own size, over a packaged decoder, and from scratch."""
