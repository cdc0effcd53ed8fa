"""Words in common: the part of likeness that vectors see badly, names and numbers."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_SMALL = (
    "a an and any are as at be been but by can could did do does for from had has have he her his "
    "how i if in into is it its many me more most much my no not of on or our out per she should "
    "so some such than that the their them then there these they this those to up us was we were "
    "what when where which who whom whose why will with would you your "
)
STOP = frozenset(_SMALL.split())
"""Words that say nothing about what a sentence is about."""


def content(text: str) -> list[str]:
    """The words that carry meaning, in small letters and without endings, in order."""
    found = (word.casefold() for word in _WORD.findall(text))
    return [_stem(word) for word in found if word not in STOP]


def numbers(text: str) -> set[str]:
    """The numbers of a text."""
    return {word for word in _WORD.findall(text) if word[0].isdigit()}


def share(of: Iterable[str], within: Iterable[str]) -> float:
    """Which part of the words `of` is among `within`, 0 to 1; 0 where there are none."""
    wanted, held = set(of), set(within)
    return len(wanted & held) / len(wanted) if wanted else 0.0


def stems(text: str) -> list[str]:
    """All words, small ones too, without their endings."""
    return [_stem(word.casefold()) for word in _WORD.findall(text)]


def _stem(word: str) -> str:
    """`walls` to `wall`, `changed` and `change` to `chang`: enough to compare, not to read."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("sses", "xes", "ches", "shes"):
        if word.endswith(ending):
            return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
