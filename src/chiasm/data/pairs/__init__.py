"""Pictures with what they are called: stamps, clip art and emoji, split by concept."""

from collections.abc import Callable

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.pairs import clip_art, emoji, stamps
from chiasm.data.pairs.pair import SPLITS, Pair, of_split, split_of
from chiasm.errors import Misuse

__all__ = ["SETS", "SPLITS", "Pair", "captions", "emoji_names", "load", "of_split", "split_of"]

SETS: dict[str, Callable[[], tuple[Pair, ...]]] = {
    "clip-art": clip_art.pairs,
    "emoji": emoji.pairs,
    "stamps": stamps.pairs,
}
"""Every pair of each set, by its name."""


def load(name: str, split: str) -> tuple[Pair, ...]:
    """The pairs of a set's split.

    Raises:
        Misuse: an unknown set or split.
        ChiasmError: it was not fetched.
    """
    if name not in SETS:
        raise Misuse(f"no pairs are called {name!r}; choose {', '.join(SETS)}")
    return of_split(SETS[name](), split)


def captions(name: str, split: str) -> Dataset:
    """The same pictures to describe, for models that answer."""
    asked = "What does the picture show?"
    return Dataset(
        name,
        split,
        tuple(
            Example(pair.id, (pair.picture,), (Turn(asked, pair.texts[0]),), independent=True)
            for pair in load(name, split)
        ),
    )


LANGUAGES = {"de": "German", "es": "Spanish", "fr": "French", "it": "Italian"}


def emoji_names(split: str) -> Dataset:
    """What each emoji is called in four languages, a question each."""
    called = {code: emoji.names(code) for code in LANGUAGES}
    examples: list[Example] = []
    for pair in load("emoji", split):
        key = pair.id.rsplit("/", 1)[-1]
        turns = tuple(
            Turn(f"What is it called in {language}?", called[code][key][0])
            for code, language in LANGUAGES.items()
            if key in called[code]
        )
        if turns:
            examples.append(Example(pair.id, (pair.picture,), turns, independent=True))
    return Dataset("emoji-names", split, tuple(examples))
