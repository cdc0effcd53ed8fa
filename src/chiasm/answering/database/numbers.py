"""Numbers in an answer's words."""

import re

_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
LARGEST = 10**6
"""A number above it is no count of what one picture shows."""


def number(said: str) -> int:
    """The first whole number that is said, in digits or words to twenty; 0 where none is, as
    MMNDB counts a failure.
    """
    for word in re.findall(r"\d+|[a-z]+", said.casefold()):
        value = int(word) if word.isdigit() else _WORDS.index(word) if word in _WORDS else None
        if value is not None:
            return value if value <= LARGEST else 0
    return 0
