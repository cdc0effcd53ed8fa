"""What `chiasm compress` tries: methods and budgets on one model, and the questions it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chiasm import data
from chiasm.compression.method import check_keep, method, methods
from chiasm.data.conversations import SUFFIXES
from chiasm.data.example import Example
from chiasm.errors import Misuse
from chiasm.evaluation.difference import CONTROLS


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Methods at budgets, on a checkpoint, asked about data."""

    checkpoint: str
    methods: tuple[str, ...]
    keeps: tuple[float, ...]
    data: str
    seed: int = 0
    """Of the methods that draw."""
    limit: int | None = None
    """So many examples only."""
    max_new: int = 8
    batch: int = 32
    repeats: int = 15
    """Measured turns of prefill and decoding; 0: no times are taken."""
    decode: int = 8
    """Tokens decoded in a measured turn."""

    def __post_init__(self) -> None:
        for keep in self.keeps:
            check_keep(keep)
        for name in self.methods:
            method(name, keep=1.0)
        if not self.keeps or not self.methods:
            raise Misuse("no method or no budget is named; give --methods all --keep 0.5,0.25,0.1")
        for what in (self.methods, self.keeps):
            twice = {one for one in what if what.count(one) > 1}
            if twice:
                raise Misuse(f"{', '.join(map(str, sorted(twice)))} named twice; name each once")
        for name in ("limit", "max_new", "batch", "decode"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Misuse(
                    f"{name.replace('_', '-')} {value} leaves nothing to do; give 1 or more"
                )
        if self.repeats < 0:
            raise Misuse(f"{self.repeats} measured turns cannot be; give 0 for none")

    @property
    def order(self) -> tuple[str, ...]:
        """The controls, then the methods as they were named."""
        return tuple(dict.fromkeys((*CONTROLS, *self.methods)))

    def settings(self, name: str) -> dict[str, Any]:
        """What a method is given beside its budget: the seed, if it draws."""
        made: Any = methods()[name]
        return {"seed": self.seed} if "seed" in {field.name for field in fields(made)} else {}

    def asked(self) -> Sequence[Example]:
        """The test split of a packaged data set, or all of a file; each question alone.

        A method that reads the question must not see another one, so questions are not packed.
        """
        path = Path(self.data)
        split = "train" if path.suffix.lower() in SUFFIXES else "test"
        found = data.load(self.data, split).examples
        return alone(found[: self.limit] if self.limit else found)


def alone(examples: Sequence[Example]) -> list[Example]:
    """Independent questions as an example each; conversations as they are."""
    return [
        Example(example.id, example.images, turns, system=example.system)
        for example in examples
        for turns in (
            [(turn,) for turn in example.turns] if example.independent else [example.turns]
        )
    ]


def method_names(text: str) -> tuple[str, ...]:
    """`all`, or names between commas."""
    if text.strip() == "all":
        return tuple(name for name in methods() if name not in CONTROLS)
    return _listed(text)


def shares(text: str) -> tuple[float, ...]:
    """Numbers between commas.

    Raises:
        Misuse: something else is between them.
    """
    try:
        return tuple(map(float, _listed(text)))
    except ValueError:
        raise Misuse(f"--keep {text}: write shares between commas, such as 0.5,0.25,0.1") from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))
