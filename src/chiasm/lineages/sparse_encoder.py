"""One bidirectional encoder of patches and words whose feed-forwards are experts in part (IMP)."""

from dataclasses import replace

from chiasm.connectors import PatchEmbedding
from chiasm.data.pixels import CLIP
from chiasm.embedders.batches import (
    PICTURE_TO_TEXT,
    PICTURE_TO_VIEW,
    TEXT_TO_PICTURE,
    Batches,
    Takes,
    Task,
)
from chiasm.embedders.stages import Prompt
from chiasm.encoders import RawPatches
from chiasm.experts import ExpertChoice, MixtureOfExperts, Router, everyone
from chiasm.heads.none import NoHead
from chiasm.lineages.embedders import BIDIRECTIONAL
from chiasm.lineages.multimodal_embedders import MARKERS, NANO_ANSWERS, SMOL_ANSWERS, tower
from chiasm.lineages.single_stream import VIT_B
from chiasm.spec import Answers, Fixed, Scale, Stage
from chiasm.stream import ALL

TEXT_TO_TEXT = Task(name="text-to-text", query=(Takes.TEXT,), document=(Takes.OTHER,))
ALTERNATING = Batches(tasks=(TEXT_TO_PICTURE, PICTURE_TO_TEXT, PICTURE_TO_VIEW, TEXT_TO_TEXT))
"""A step is of one task: which modalities meet, and in which place."""

VIT_L = replace(VIT_B, width=1024, depth=24, heads=16, kv_heads=16, ff_width=4096)


def sparse(experts: int) -> MixtureOfExperts:
    """Every second feed-forward is experts that choose among the rows of an item."""
    choice = ExpertChoice(capacity=1.0, noise=False, by_sample=True)
    return MixtureOfExperts(
        kinds=(ALL,),
        router=Router(eligibility=everyone(experts), selection=choice, penalties=()),
        hidden=None,
        shared=0,
        first=1,
        stride=2,
        adapters=(),
        expert_lora=None,
    )


def _raw(answers: Answers, patch: int, side: int, experts: int) -> Answers:
    """Patches as they are, `side` x `side` of them, and words: all rows see each other."""
    return replace(
        answers,
        encoder=RawPatches(patch=patch),
        connector=PatchEmbedding(side=(side, side)),
        visibility=BIDIRECTIONAL,
        experts=sparse(experts),
        head=NoHead(),
    )


ENCODE = {
    Scale.NANO: (tower(_raw(NANO_ANSWERS, 16, 4, 4), Prompt(marker=MARKERS[0])),),
    Scale.SMOL: (tower(_raw(SMOL_ANSWERS, 16, 14, 4), Prompt(marker=MARKERS[1])),),
    Scale.PAPER: (
        tower(
            _raw(
                replace(
                    NANO_ANSWERS,
                    views=Fixed(256, 256),
                    pixels=CLIP,
                    host=VIT_L,
                    template="chatml",
                ),
                16,
                16,
                16,
            ),
            Prompt(marker="[SEP]"),
        ),
    ),
}
"""The one tower at three scales; at the published one 24 layers of ViT-L, 16 experts in twelve."""

FROM_SCRATCH = Stage(
    name="alternating",
    trained=("item", "output", "score"),
    learning_rate=1e-3,
    batch=4096,
    warmup=0.05,
)
SMALL = replace(FROM_SCRATCH, batch=48, clip=5.0, warmup=0.0)
