"""Calls answered from a stored trace: nothing is run, and a step that differs is named."""

from chiasm.answering.records import Call, Cost, Json, Observation
from chiasm.answering.trace import Trace, written
from chiasm.errors import ChiasmError


class Past:
    """The calls of a stored trace, each with what it gave, in their order."""

    def __init__(self, stored: Trace) -> None:
        """Raises ChiasmError for a call without an observation and a cost behind it."""
        records = stored.records
        self._told: list[tuple[Call, Observation, Cost]] = []
        for place in range(len(records)):
            match records[place : place + 3]:
                case [Call() as call, Observation() as observation, Cost() as cost]:
                    self._told.append((call, observation, cost))
                case [Call(step=step, tool=tool), *_]:
                    raise ChiasmError(
                        f"the trace does not say what {tool} gave in step {step!r}; "
                        "it was cut short"
                    )
        self._next = 0

    def answer(self, call: Call) -> tuple[Observation, Cost]:
        """What the stored call of the same step, tool and arguments gave.

        Raises:
            ChiasmError: the stored trace goes on otherwise; the message names the step and what
                differs.
        """
        if self._next == len(self._told):
            raise ChiasmError(
                f"step {call.step!r} differs: it calls {call.tool}, and the trace holds no "
                f"call after its {len(self._told)}"
            )
        stored, observation, cost = self._told[self._next]
        said = _difference(stored, call)
        if said:
            raise ChiasmError(f"step {call.step!r} differs at call {self._next + 1}: {said}")
        self._next += 1
        return observation, cost

    def finish(self) -> None:
        """Raise ChiasmError if the stored trace holds calls that were not made again."""
        if self._next < len(self._told):
            stored = self._told[self._next][0]
            raise ChiasmError(
                f"step {stored.step!r} differs: the trace calls {stored.tool} there, and the "
                "replay ended before"
            )


def _difference(stored: Call, made: Call) -> str:
    if stored.step != made.step:
        return f"the trace is at step {stored.step!r} there"
    if stored.tool != made.tool:
        return f"the trace calls {stored.tool}, the replay {made.tool}"
    return _apart(stored.arguments, made.arguments, made.tool)


def _apart(stored: Json, made: Json, at: str) -> str:
    """The first place at which two values part, "" where there is none."""
    if written(stored) == written(made):
        return ""
    if isinstance(stored, dict) and isinstance(made, dict) and stored.keys() == made.keys():
        return next(filter(None, (_apart(stored[key], made[key], f"{at} {key}") for key in made)))
    return f"{at} is {_short(made)}, and {_short(stored)} in the trace"


def _short(value: Json, limit: int = 60) -> str:
    text = written(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
