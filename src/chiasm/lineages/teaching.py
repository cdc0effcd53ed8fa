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
