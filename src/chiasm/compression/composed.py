"""Several members as one: at most one method of tokens, and companions beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import cast

from chiasm.compression.companion import Companion, Precision, companion, companions
from chiasm.compression.method import (
    WHAT,
    HostShape,
    Method,
    check_keep,
    method,
    methods,
)
from chiasm.compression.reducer import Reducer
from chiasm.compression.stated import stated, together
from chiasm.compression.uses import Uses, check_together, uses_of
from chiasm.errors import Misuse
from chiasm.registry import check_name

Member = Method | Companion


@dataclass(frozen=True, kw_only=True)
class Composed:
    """What runs together."""

    name: str
    methods: tuple[Method, ...]
    precision: Precision
    uses: tuple[tuple[str, Uses], ...]
    """Of each member."""

    def check_beside(self, name: str, answer: object) -> None:
        """Refuse a model whose own answer to what is kept cannot run with the members.

        Raises:
            Misuse: saying which of them, and why.
        """
        check_together([*self.uses, (name, getattr(answer, "uses", Uses()))])

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        """Of all methods, ascending by site; a budget of everything has none."""
        return together([one for one in self.methods if one.keep < 1], shape)


def composed(
    members: str | Member | Sequence[str | Member],
    *,
    keep: float | None = None,
    settings: Mapping[str, object] | None = None,
) -> Composed:
    """Members by name or by hand; `keep` and settings are for a single name.

    Raises:
        Misuse: an unknown member or setting, or members that cannot run together.
    """
    given = dict(settings or {}) | ({} if keep is None else {"keep": keep})
    alone = isinstance(members, str) or not isinstance(members, Sequence)
    every: Sequence[str | Member] = [members] if alone else members  # type: ignore[assignment]
    if not every:
        raise Misuse("nothing to compress with; name a method, such as vscan")
    if given and not (alone and isinstance(members, str)):
        raise Misuse(
            "settings belong to one method by name; several state their own, such as vscan:keep=0.1"
        )
    named = [_member(one, given) for one in every]
    uses = tuple((name, uses_of(one)) for name, one in named)
    check_together(uses)
    reducing = [cast(Method, one) for _, one in named if not _accompanies(one)]
    precise = [cast(Companion, one).precision() for _, one in named if _accompanies(one)]
    name = "+".join(name for name, _ in named)
    return Composed(name=name, methods=tuple(reducing), precision=_joined(precise), uses=uses)


def _accompanies(member: Member) -> bool:
    return hasattr(member, "precision")


def _member(one: str | Member, given: Mapping[str, object]) -> tuple[str, Member]:
    if not isinstance(one, str):
        if not _accompanies(one):
            check_keep(cast(Method, one).keep)
        return type(one).__name__, one
    name, settings = stated(one)
    settings |= given
    check_name(name, [*methods(), *companions()], WHAT)
    if name in companions():
        return name, companion(name, **settings)
    keep = settings.pop("keep", 1.0)
    if isinstance(keep, bool) or not isinstance(keep, int | float):
        raise Misuse(f"{name}: keep={keep!r} is no share of visual tokens; write keep=0.1")
    return name, method(name, keep=keep, **settings)


def _joined(parts: Sequence[Precision]) -> Precision:
    """Each thing from the member that changes it; no two do."""
    stated_by = {
        field.name: value
        for one in parts
        for field in fields(Precision)
        if (value := getattr(one, field.name)) is not None
    }
    return Precision(**stated_by)
