"""Ways of teaching that several families share."""

from dataclasses import replace
from math import exp, log

from chiasm.objectives import NextToken
from chiasm.spec import Stage, Teaching


def connector_only(*, learning_rate: float) -> Teaching:
    """One stage in which connector and fusion learn beside a frozen host and encoder."""
    stage = Stage(
        name="connector",
        trained=("connector", "fusion"),
        learning_rate=learning_rate,
        schedule="constant",
    )
    return Teaching(objective=NextToken(), stages=(stage,))


def experts_only(*, learning_rate: float, batch: int) -> Teaching:
    """One stage in which what an experts answer adds learns beside a frozen host and encoder."""
    stage = Stage(
        name="instruction",
        trained=("experts",),
        learning_rate=learning_rate,
        batch=batch,
        warmup=0.03,
        betas=(0.9, 0.999),
    )
    return Teaching(objective=NextToken(), stages=(stage,))


def experts_beside(*, learning_rate: float) -> Teaching:
    """One stage in which a connector and what an experts answer adds learn together."""
    stage = Stage(
        name="connector and adapters",
        trained=("connector", "experts"),
        learning_rate=learning_rate,
        warmup=0.03,
    )
    return Teaching(objective=NextToken(), stages=(stage,))


def host_only(*, learning_rate: float) -> Teaching:
    """One stage in which the host learns: all there is to teach where nothing is looked at."""
    stage = Stage(name="host", trained=("decoder", "head"), learning_rate=learning_rate)
    return Teaching(objective=NextToken(), stages=(stage,))


def aligned(
    *trained: str,
    rates: tuple[float, float],
    share: float = 558 / (558 + 665),
    batches: tuple[int, int] = (256, 128),
) -> Teaching:
    """LLaVA-1.5's two stages: the connector alone for a `share` of the budget, then what is named
    here; `rates` and `batches` are those of the stages.
    """
    stages = (("alignment", ("connector",), share), ("instruction", trained, 1 - share))
    return Teaching(
        objective=NextToken(),
        stages=tuple(
            Stage(
                name=name,
                trained=parts,
                learning_rate=rate,
                share=part,
                batch=batch,
                warmup=0.03,
                betas=(0.9, 0.999),
            )
            for (name, parts, part), rate, batch in zip(stages, rates, batches, strict=True)
        ),
    )


CLIPS = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="alignment", trained=("connector",), learning_rate=1e-3, share=0.2),
        Stage(
            name="instruction",
            trained=("encoder", "connector", "decoder", "head"),
            learning_rate=2e-5,
            share=0.6,
        ),
        Stage(
            name="long clips",
            trained=("encoder", "connector", "decoder", "head"),
            learning_rate=1e-5,
            share=0.2,
        ),
    ),
)
"""The projector first, then everything, then everything on more frames (STORM, arXiv 2503.04130);
the rates and shares are ours.
"""


def with_experts(teaching: Teaching) -> Teaching:
    """The same stages; what the experts answer adds learns wherever the decoder does."""
    stages = tuple(
        replace(stage, trained=(*stage.trained, "experts")) if "decoder" in stage.trained else stage
        for stage in teaching.stages
    )
    return replace(teaching, stages=stages)


UNI_MOE = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="connectors", trained=("connector",), learning_rate=1e-3, share=0.3),
        Stage(
            name="single experts",
            trained=("connector", "decoder", "head"),
            learning_rate=2e-5,
            share=0.3,
        ),
        Stage(name="mixture", trained=("connector", "experts"), learning_rate=4e-5, share=0.4),
    ),
)
"""Connectors, then one feed-forward for each kind of data, then routers and low-rank deltas of the
mixture of them (Uni-MoE, arXiv 2405.11273); the first two rates and all shares are ours.
"""


def everything(*, learning_rate: float) -> Teaching:
    """One stage in which all parts learn together: a trunk of raw input has no frozen part."""
    trained = ("encoder", "connector", "fusion", "tower", "experts", "decoder", "head")
    stage = Stage(name="joint", trained=trained, learning_rate=learning_rate, warmup=0.1)
    return Teaching(objective=NextToken(), stages=(stage,))


def without_alignment(*, learning_rate: float) -> Teaching:
    """One stage in which connector and host learn together, beside a frozen encoder."""
    stage = Stage(
        name="instruction",
        trained=("connector", "decoder", "head"),
        learning_rate=learning_rate,
        batch=128,
        warmup=0.03,
        weight_decay=0.1,
    )
    return Teaching(objective=NextToken(), stages=(stage,))


OMNIMAMBA = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="understanding",
            trained=("connector", "experts"),
            learning_rate=1e-3,
            share=5 / 155,
            batch=3,
        ),
        Stage(
            name="joint",
            trained=("connector", "experts", "decoder", "head"),
            learning_rate=1e-4,
            share=150 / 155,
            batch=3,
        ),
    ),
)
"""Of OmniMamba (arXiv 2503.08686), what understanding is taught: 5k steps, then 150k of the whole
model. The stage between, and drawing's half of the last, are taught on codes (`chiasm.coding`).
"""
ARCANA = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="alignment", trained=("connector",), learning_rate=1e-3, share=0.4, batch=256),
        Stage(
            name="instruction",
            trained=("connector", "experts"),
            learning_rate=2e-4,
            share=0.6,
            batch=128,
        ),
    ),
)
"""Projector and ladder, then they and the low-rank pairs; rates and shares are ours."""

AWAKER = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="mixture", trained=("connector", "experts"), learning_rate=1e-4, batch=128),
    ),
)
"""One stage of the paper's three: all low-rank experts and their gates; the rate is ours."""


def encoder_free(*, learning_rate: float) -> Teaching:
    """Patches alone, then with a copy of the host for images, then everything (EVEv2's order)."""
    visual = ("encoder", "connector")
    everything = (*visual, "experts", "decoder", "head")
    return Teaching(
        objective=NextToken(),
        stages=(
            Stage(name="patches", trained=visual, learning_rate=2 * learning_rate, share=0.1),
            Stage(
                name="visual weights",
                trained=(*visual, "experts"),
                learning_rate=learning_rate,
                share=0.5,
                copies=True,
            ),
            Stage(name="all", trained=everything, learning_rate=learning_rate / 5, share=0.4),
        ),
    )


_VISUAL = ("encoder", "connector")
EVE_V2 = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="patches", trained=_VISUAL, learning_rate=2e-4, share=10 / 109.3),
        Stage(
            name="visual weights",
            trained=(*_VISUAL, "experts"),
            learning_rate=1e-4,
            share=29 / 109.3,
            copies=True,
        ),
        Stage(
            name="high resolution",
            trained=(*_VISUAL, "experts"),
            learning_rate=5e-5,
            share=48 / 109.3,
        ),
        Stage(
            name="all",
            trained=(*_VISUAL, "experts", "decoder", "head"),
            learning_rate=2e-5,
            share=15 / 109.3,
        ),
        Stage(
            name="instruction",
            trained=(*_VISUAL, "experts", "decoder", "head"),
            learning_rate=1e-5,
            share=7.3 / 109.3,
        ),
    ),
)
"""10M, 29M, 48M, 15M and 7.3M samples (EVEv2, arXiv 2502.06788)."""

BROTE = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="condition", trained=("connector",), learning_rate=1e-5, share=191 / 691),
        Stage(
            name="several images",
            trained=("connector", "decoder", "head"),
            learning_rate=1e-5,
            share=500 / 691,
        ),
    ),
)
"""191K captions that know their context, then about 500K samples of several images (Browse and
Concentrate, arXiv 2402.12195); the condition has the Q-Former's rate, a tenth of the paper's."""


def beside_words(*, learning_rate: float) -> Teaching:
    """A tower of codes by itself, then with what joins it to a text decoder that stays frozen
    (Zipper, arXiv 2405.18669); the first stage stands for the tower's own pre-training.
    """
    return Teaching(
        objective=NextToken(),
        stages=(
            Stage(name="codes", trained=("tower",), learning_rate=learning_rate, share=0.3),
            Stage(
                name="zipper",
                trained=("fusion", "tower"),
                learning_rate=learning_rate,
                share=0.7,
            ),
        ),
    )


EP_ALM = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="augmentation",
            trained=("connector", "fusion"),
            learning_rate=2e-4,
            rates=(("fusion", 5.0),),
        ),
    ),
)
"""The map at 2e-4 and the soft prompt at 1e-3, straight on the task (eP-ALM, arXiv 2303.11403)."""

OVIS = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="words", trained=("connector",), learning_rate=1e-4, share=10 / 14.3),
        Stage(
            name="descriptions",
            trained=("encoder", "connector"),
            learning_rate=1e-4,
            share=2.3 / 14.3,
        ),
        Stage(
            name="instruction",
            trained=("encoder", "connector", "decoder", "head"),
            learning_rate=2e-5,
            share=2 / 14.3,
        ),
    ),
)
"""10M captions, 2.3M descriptions, then everything (Ovis, arXiv 2405.20797); the last share is
ours. The paper's first stage begins the encoder's last layer anew and teaches it too."""

MONKEY = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="instruction",
            trained=("experts", "connector", "decoder", "head"),
            learning_rate=1e-5,
            weight_decay=0.1,
        ),
    ),
)
"""One stage beside a frozen encoder: its low-rank sets, resampler and host (Monkey, arXiv
2311.06607)."""


def scaled_rate(parameters: float) -> float:
    """exp(-0.4214 ln N - 0.5535), the peak learning rate of a decoder with N parameters, embeddings
    apart (MM1, arXiv 2403.09611).
    """
    return exp(-0.4214 * log(parameters) - 0.5535)


def scaled(parameters: float) -> Teaching:
    """Everything in one stage at MM1's rate, with a tenth of it as weight decay."""
    rate = scaled_rate(parameters)
    [stage] = everything(learning_rate=rate).stages
    stage = replace(stage, name="pre-training", weight_decay=0.1 * rate, batch=512)
    return Teaching(objective=NextToken(), stages=(stage,))
