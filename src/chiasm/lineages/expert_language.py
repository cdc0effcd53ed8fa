"""The plain vision-language model, ready for an experts answer that adds something to its host."""

from chiasm.experts import MixtureOfExperts, Router
from chiasm.lineages.teaching import with_experts
from chiasm.lineages.vision_language import ADAPTED, LLAVA_1_5, SCRATCH, VISION_LANGUAGE
from chiasm.spec import derive
from chiasm.stream import ALL, Rows

EXPERT_LANGUAGE = derive(
    VISION_LANGUAGE,
    nano=dict(teaching=with_experts(SCRATCH)),
    smol=dict(teaching=with_experts(ADAPTED)),
    paper=dict(teaching=with_experts(LLAVA_1_5)),
)
"""LLaVA-1.5's answers; routers, adapters and further weights learn with the decoder."""


def fine_grained(
    router: Router, *, hidden: int | None, shared: int, kinds: tuple[Rows, ...] = (ALL,)
) -> MixtureOfExperts:
    """Experts of `hidden` units in every layer, beside `shared` units that every row passes."""
    return MixtureOfExperts(
        kinds=kinds,
        router=router,
        hidden=hidden,
        shared=shared,
        first=0,
        stride=1,
        adapters=(),
        expert_lora=None,
    )
