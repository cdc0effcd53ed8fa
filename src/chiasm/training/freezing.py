"""Which parts of a model learn in a stage; everything else stays bit-identical."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from chiasm.errors import Misuse
from chiasm.model import PARTS, part_of


@dataclass(frozen=True)
class PartCount:
    """How many parameters of one part learn in a stage, and how many do not."""

    part: str
    trained: int
    frozen: int


def count(model: nn.Module, trained: Iterable[str]) -> tuple[PartCount, ...]:
    """Exact parameter counts by part when the parts in `trained` learn; shared tensors once.

    Parts without parameters are left out. Raises Misuse for a part that no model has.
    """
    learns = _known(trained)
    sizes: dict[str, int] = {part: 0 for part in PARTS}
    for name, parameter in model.named_parameters():
        sizes[part_of(name)] += parameter.numel()
    return tuple(
        PartCount(part, size if part in learns else 0, 0 if part in learns else size)
        for part, size in sizes.items()
        if size
    )


def freeze(model: nn.Module, trained: Iterable[str]) -> None:
    """Let the parts in `trained` learn and hold the others still.

    A frozen part gets no gradient and runs in evaluation mode, so that the running statistics of
    its batch norms do not move either. Raises Misuse if nothing would learn.
    """
    learns = _known(trained)
    if not any(counted.trained for counted in count(model, learns)):
        raise Misuse(
            f"the stage teaches {', '.join(sorted(learns)) or 'no part'}, where this model has no "
            f"parameters; name at least one of {', '.join(c.part for c in count(model, ()))}"
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) in learns)
        parameter.grad = None
    for name, module in model.named_modules():
        # The dot lets a slot's container count as the slot's part, not as the decoder's.
        module.training = not name or part_of(f"{name}.") in learns


def copy_own(model: nn.Module) -> None:
    """Start the weights that an experts answer adds as the host's own are, in place."""
    for module in model.modules():
        copy = getattr(module, "copy_own", None)
        if copy is not None:
            copy()


def _known(trained: Iterable[str]) -> frozenset[str]:
    learns = frozenset(trained)
    if unknown := sorted(learns - set(PARTS)):
        raise Misuse(f"no part is called {unknown[0]!r}; a model has {', '.join(PARTS)}")
    return learns
