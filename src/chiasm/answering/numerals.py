"""Numbers in words."""

import re

_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
_NONE = ("no", "none")
_STEMS = {word[:-1] if word.endswith("e") and len(word) > 3 else word: word for word in _WORDS}
LARGEST = 10**6
"""A number above it is no count of what one picture shows."""


def said(word: str) -> int | None:
    """The whole number that a word says, in digits or letters to twenty, its ending cut or not;
    0 for `no`.
    """
    if word.isdecimal():
        return int(word) if len(word) <= len(str(LARGEST)) else None
    if word in _NONE:
        return 0
    word = _STEMS.get(word, word)
    return _WORDS.index(word) if word in _WORDS else None


def number(answer: str) -> int:
    """The first whole number of an answer; 0 where none is, as MMNDB counts a failure, or where it
    is beyond `LARGEST`.
    """
    for word in re.findall(r"\d+|[a-z]+", answer.casefold()):
        value = said(word)
        if value is not None:
            return value if value <= LARGEST else 0
    return 0
