"""What a member of a composition changes, relies on and takes away; what may run together.

Two members that change the same thing do not agree on it, and a member cannot rely on what another
takes away. Nothing else is forbidden, so a new member states its own and is checked against all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chiasm.errors import Misuse


class Axis(StrEnum):
    """What can be made smaller."""

    TOKENS = "which visual tokens stay"
    OPERATIONS = "which operations visual tokens take part in"
    VISUAL_KV = "the precision of visual keys and values"
    WEIGHTS = "the precision of the decoder's weights"
    DEPTH = "how many layers a row passes"


class Means(StrEnum):
    """What a member may rely on."""

    CACHED_STEPS = "steps that read the keys and values of earlier rows"
    EVERY_LAYER = "keys and values of a row in every layer"


@dataclass(frozen=True, kw_only=True)
class Uses:
    """A member's part in a composition."""

    changes: frozenset[Axis] = frozenset()
    needs: frozenset[Means] = frozenset()
    removes: Mapping[Means, str] = field(default_factory=dict[Means, str])
    """And why."""


KEEPS_TOKENS = Uses(changes=frozenset({Axis.TOKENS}))
"""Of a method that states nothing: it chooses tokens."""


def uses_of(member: object) -> Uses:
    """What a method, a companion or an answer states of itself."""
    return getattr(member, "uses", KEEPS_TOKENS)


def check_together(members: Sequence[tuple[str, Uses]]) -> None:
    """Refuse members that cannot run together.

    Raises:
        Misuse: two of them change the same thing, or one takes away what another relies on.
    """
    for number, (name, uses) in enumerate(members):
        for other, others in members[number + 1 :]:
            both = sorted(uses.changes & others.changes)
            if both:
                raise Misuse(f"{name} and {other} both decide {both[0]}; leave one of them out")
    for name, uses in members:
        for other, others in members:
            for means in sorted(uses.needs & others.removes.keys()):
                raise Misuse(
                    f"{name} relies on {means}, and with {other} there are none: "
                    f"{others.removes[means]}; leave one of them out"
                )
