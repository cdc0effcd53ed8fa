"""Ways of teaching that several families share."""

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


def host_only(*, learning_rate: float) -> Teaching:
    """One stage in which the host learns: all there is to teach where nothing is looked at."""
    stage = Stage(name="host", trained=("decoder", "head"), learning_rate=learning_rate)
    return Teaching(objective=NextToken(), stages=(stage,))


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
