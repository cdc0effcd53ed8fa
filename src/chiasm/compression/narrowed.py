"""Feed-forwards and projections of which some rows use a part."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear


def first_units(
    x: Float[Tensor, "*row width"],
    gate: Float[Tensor, "hidden width"],
    up: Float[Tensor, "hidden width"],
    down: Float[Tensor, "width hidden"],
    activation: Callable[[Tensor], Tensor],
    units: int,
) -> Float[Tensor, "*row width"]:
    """A gated feed-forward of the first `units` hidden units alone:

        down[:, :u] (act(gate[:u] x) * up[:u] x),

    which is the whole one with the others' activations at 0.
    """
    hidden = activation(linear(x, gate[:units])) * linear(x, up[:units])
    return linear(hidden, down[:, :units])


def heads_of(
    weight: Float[Tensor, "heads_width width"], heads: Int[Tensor, " head"], head_width: int
) -> Float[Tensor, "some_width width"]:
    """The rows of a projection that make these heads."""
    return weight.unflatten(0, (-1, head_width))[heads].flatten(0, 1)
