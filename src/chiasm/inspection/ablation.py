"""Heads silenced, and what that costs in right answers."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Any

from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.evaluation.compressed import difference
from chiasm.evaluation.difference import Difference
from chiasm.evaluation.predict import Prediction
from chiasm.inspection.heads import Head, Heads
from chiasm.inspection.subject import Subject


@contextmanager
def silenced(subject: Subject, heads: Collection[Head]) -> Iterator[None]:
    """While the context lasts, what these heads read is zero where W_o is given it."""
    layers = subject.one_stack().stack.layers
    with ExitStack() as stack:
        for layer in {layer for layer, _ in heads}:
            own = [head for at, head in heads if at == layer]
            attention: Any = layers[layer].self_attn
            zero = _zeroing(own, attention.host.head_width)
            hook = attention.o_proj.register_forward_pre_hook(zero)
            stack.callback(hook.remove)
        yield


def _zeroing(heads: Sequence[int], width: int) -> Any:
    def zero(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        read: Tensor = given[0].clone()
        for head in heads:
            read[..., head * width : (head + 1) * width] = 0
        return read, *given[1:]

    return zero


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """Right answers with some heads silenced."""

    name: str
    heads: Sequence[Head]
    accuracy: float
    lost: Difference
    """What is answered right less often than with all heads."""


def ablate(
    subject: Subject, heads: Heads, count: int, *, draws: int = 3, seed: int = 0
) -> list[Ablation]:
    """With all heads; without the top ones; without as many at random, some times; without late
    ones.

    Raises:
        Misuse: the model does not have so many heads.
    """
    depth, width = heads.score.shape
    if not 0 < count < depth * width:
        raise Misuse(
            f"{count} heads of {depth * width} cannot be silenced and leave some; ask less"
        )
    every = [(layer, head) for layer in range(depth) for head in range(width)]
    arms: list[tuple[str, list[Head]]] = [("all heads", []), ("top", heads.top(count))]
    for draw in range(draws):
        arms.append((f"random {draw}", sorted(Random(f"{seed}/{draw}").sample(every, count))))
    arms.append(("late", heads.late(count)))
    found: list[Ablation] = []
    whole: list[Prediction] = []
    for name, silent in arms:
        with silenced(subject, silent):
            said = subject.answers()
        whole = whole or said
        found.append(
            Ablation(
                name=name,
                heads=silent,
                accuracy=fmean(one.right for one in said),
                lost=difference(whole, said),
            )
        )
    return found
