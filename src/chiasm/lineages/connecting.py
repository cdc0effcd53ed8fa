"""How published connectors and their hosts are taught, where LLaVA-1.5's stages do not say it."""

from dataclasses import replace

from chiasm.connectors import (
    Marked,
    PerceiverResampler,
    RoutedProjection,
    StridedConv,
    TransformerAdapter,
    WordMixture,
)
from chiasm.experts import AdaptedWeights, LoRA
from chiasm.experts.adapters import ATTENTION
from chiasm.lineages.vision_language import LLAVA_1_5
from chiasm.spec import Host, Stage, Teaching

_ALIGNMENT, _INSTRUCTION = LLAVA_1_5.stages


def low_rank(rank: int) -> AdaptedWeights:
    """LoRA on the host's attention, twice the rank its alpha."""
    return AdaptedWeights((LoRA(sites=ATTENTION, rank=rank, alpha=2.0 * rank, dropout=0.0),))


def resampled(latents: int, depth: int, heads: int, head_width: int) -> PerceiverResampler:
    """Latents of the host's width (AnyMAL)."""
    return PerceiverResampler(
        latents=latents, depth=depth, heads=heads, head_width=head_width, project=True
    )


def word_mixture(kernel: int, stride: int, channels: int, host: Host, heads: int) -> Marked:
    """A convolution, a linear map, and attention as wide as the host over its words."""
    conv, wide = StridedConv(kernel=kernel, stride=stride, channels=channels), host.width // heads
    return Marked(
        each=WordMixture(each=conv, table_rows=host.vocabulary, heads=heads, head_width=wide)
    )


def enclosed_adapter(heads: int, ff_width: int, host_width: int) -> Marked:
    """One layer between two vectors of deviation one over the root of the host's width."""
    each = TransformerAdapter(depth=1, heads=heads, ff_width=ff_width)
    return Marked(each=each, initial_std=host_width**-0.5)


def routed_projection(queries: int, depth: int, heads: tuple[int, int], ff_width: int) -> Marked:
    """Three stacks between marks; heads are (how many, how wide)."""
    many, wide = heads
    each = RoutedProjection(
        queries=queries, branches=3, depth=depth, heads=many, head_width=wide, ff_width=ff_width
    )
    return Marked(each=each)


VIP_LLAVA = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        replace(_ALIGNMENT, share=0.3),
        replace(_INSTRUCTION, share=0.6),
        replace(_INSTRUCTION, name="regions", learning_rate=2e-7, share=0.1),
    ),
)
"""LLaVA-1.5's stages, the second with marked regions among its data, then dialogues about regions
(ViP-LLaVA, arXiv 2312.00784)."""

VEAGLE = Teaching(
    objective=LLAVA_1_5.objective,
    stages=tuple(
        Stage(
            name=name,
            trained=("connector",),
            learning_rate=1e-5,
            share=epochs / 5,
            weight_decay=0.05,
        )
        for name, epochs in (("alignment", 3), ("instruction", 2))
    ),
)
"""Three epochs of captions and two of instructions beside a frozen encoder and a frozen host
(Veagle, arXiv 2403.08773); an epoch of either counts alike."""

ANY_MAL = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="alignment", trained=("connector",), learning_rate=2e-4, share=0.9),
        Stage(name="instruction", trained=("connector", "experts"), learning_rate=1e-4, share=0.1),
    ),
)
"""The aligner alone, then it and low-rank deltas of a host that stays as it is (AnyMAL, arXiv
2309.16058); rates and shares are ours."""

UNI_DOC = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        replace(_ALIGNMENT, share=0.5, learning_rate=1e-3),
        replace(_INSTRUCTION, name="four tasks", share=0.5),
    ),
)
"""The linear map on captions and on texts of slides, then it and the host on all four tasks mixed
(UniDoc, arXiv 2308.11592); rates are LLaVA-1.5's, shares ours."""

ONE_LLM = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="image", trained=("connector",), learning_rate=5e-5, share=0.4),
        Stage(name="modalities", trained=("connector",), learning_rate=1e-5, share=0.3),
        Stage(name="instruction", trained=("decoder", "head"), learning_rate=2e-5, share=0.3),
    ),
)
"""The projection, at a lower rate as modalities are added, then the host beside a frozen projection
(OneLLM, arXiv 2312.03700); shares are ours."""

CHAT_BRIDGE = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="pairs", trained=("connector",), learning_rate=1e-4, share=0.6),
        Stage(name="instruction", trained=("connector",), learning_rate=1e-5, share=0.4),
    ),
)
"""The Q-Former and its map on pairs, then on instructions (ChatBridge, arXiv 2305.16103); shares
are ours."""

CAMBRIAN = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(replace(_ALIGNMENT, share=2.5 / 9.5), replace(_INSTRUCTION, share=7 / 9.5)),
)
"""2.5M samples, then 7M (Cambrian-1, arXiv 2406.16860); rates are LLaVA-1.5's."""

EAGLE = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        replace(_ALIGNMENT, share=558 / 2358),
        replace(
            _INSTRUCTION,
            trained=("encoder", "connector", "decoder", "head"),
            share=1800 / 2358,
        ),
    ),
)
"""558K captions, then 1.8M samples on which the encoders learn too (Eagle, arXiv 2408.15998)."""

EAGLE_ALONE = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(replace(_ALIGNMENT, trained=("encoder", "connector"), share=1.0),),
)
"""Before them, each encoder by itself with a projector of its own, beside one frozen host."""

INFI_MM_HD = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="224 pixels", trained=("connector", "fusion"), learning_rate=1e-4, share=0.4),
        Stage(
            name="448 pixels",
            trained=("encoder", "connector", "fusion"),
            learning_rate=5e-5,
            share=0.2,
        ),
        Stage(
            name="windows",
            trained=("encoder", "connector", "fusion"),
            learning_rate=1e-5,
            share=0.2,
        ),
        Stage(
            name="instruction",
            trained=("connector", "fusion", "experts"),
            learning_rate=1e-5,
            share=0.2,
        ),
    ),
)
"""The readers, then with the encoder at growing sizes, then with low-rank deltas of the host
(InfiMM-HD, arXiv 2403.01487); here all at the last size, rates and shares are ours."""

MUFFIN = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="captions", trained=("connector",), learning_rate=1e-4, share=100 / 105.6),
        Stage(
            name="instruction",
            trained=("encoder", "connector", "decoder", "head"),
            learning_rate=2e-5,
            share=5.6 / 105.6,
        ),
    ),
)
"""100,000 steps of captions beside a frozen host, then twice 2800 of instructions to everything
(Muffin, arXiv 2310.00653); the first rate is ours."""

LLAVA_READ = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        replace(_ALIGNMENT, name="layout"),
        replace(_INSTRUCTION, name="reading"),
    ),
)
"""Texts read, found and laid out, then instructions about pictures rich in text (LLaVA-Read, arXiv
2407.19185); rates and shares are LLaVA-1.5's."""
