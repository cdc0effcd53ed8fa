"""How what several towers made becomes the states of one item."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from chiasm.embedders.states import States, side_by_side


@dataclass(frozen=True)
class Alone:
    """The null answer: one tower reads everything."""

    def width(self, widths: Mapping[str, int]) -> int:
        (width,) = widths.values()
        return width

    def build(self, widths: Mapping[str, int]) -> nn.Module:
        self.width(widths)
        return _Alone()


@dataclass(frozen=True)
class Apart:
    """Every tower's tokens, one tower's after the other's, each with its modality."""

    def width(self, widths: Mapping[str, int]) -> int:
        return _shared(widths)

    def build(self, widths: Mapping[str, int]) -> nn.Module:
        return _Apart()


@dataclass(frozen=True)
class Summed:
    """sum_m present_m v_m over towers that give one vector each (UniIR's score fusion,
    arXiv 2311.17136); `unit` says that each is brought to length one first (ALIGN).
    """

    unit: bool = False

    def width(self, widths: Mapping[str, int]) -> int:
        return _shared(widths)

    def build(self, widths: Mapping[str, int]) -> nn.Module:
        return _Summed(self.unit)


@dataclass(frozen=True, kw_only=True)
class Joined:
    """act(W [v_1; v_2; ...] + b), zeros for what is absent (DeepStyle, arXiv 1801.03002)."""

    out: int

    def width(self, widths: Mapping[str, int]) -> int:
        return self.out

    def build(self, widths: Mapping[str, int]) -> nn.Module:
        return _Joined(widths, self.out)


def _shared(widths: Mapping[str, int]) -> int:
    found = set(widths.values())
    if len(found) != 1:
        said = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise ValueError(f"towers of widths {said} share no space; project them to one width")
    return found.pop()


class _Alone(nn.Module):
    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        (states,) = made.values()
        return states


class _Apart(nn.Module):
    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        return side_by_side([*made.values()])


class _Summed(nn.Module):
    def __init__(self, unit: bool) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        every = side_by_side([*made.values()])
        tokens = nn.functional.normalize(every.tokens, dim=-1) if self.unit else every.tokens
        return every.alone((tokens * every.valid.unsqueeze(-1)).sum(1))


class _Joined(nn.Module):
    def __init__(self, widths: Mapping[str, int], out: int) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.linear = nn.Linear(sum(widths.values()), out)

    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        count = len(next(iter(made.values())).tokens)
        vectors = [
            made[name].tokens[:, 0] * made[name].present.unsqueeze(-1)
            if name in made
            else self.linear.weight.new_zeros(count, width)
            for name, width in self.widths.items()
        ]
        out = torch.relu(self.linear(torch.cat(vectors, -1)))
        return side_by_side([s.carrying(s.tokens[..., :1]) for s in made.values()]).alone(out)
