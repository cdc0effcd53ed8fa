"""Simple English questions as plans: a few sentence patterns, written out."""

import re
from collections.abc import Callable

from chiasm.answering.database.plans import Count, In, Join, Max, Plan, Select, Shows

_PICTURES = "(?:pictures|images|photos|photographs)"
_SHOW = r"(?:show|shows|showing|have|has|contain|contains|with|of)"
_WORDS = {
    word: number
    for number, word in enumerate(
        ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
} | {"a": None, "an": None, "any": None, "some": None, "several": 2}
_LIMITS: dict[str, Callable[[int], tuple[int, int | None]]] = {
    "at least ": lambda n: (n, None),
    "more than ": lambda n: (n + 1, None),
    "at most ": lambda n: (0, n),
    "fewer than ": lambda n: (0, n - 1),
    "less than ": lambda n: (0, n - 1),
    "exactly ": lambda n: (n, n),
    "": lambda n: (n, n),
}

EXAMPLES = (
    "how many dogs are there?",
    "how many dogs are in pictures that show a ball?",
    "how many pictures show at least two dogs and no cats?",
    "what is the largest number of dogs in one picture?",
    "which pictures show dogs and a ball?",
    "which pictures of dogs and of cats are in the same folder?",
    "which pairs of pictures show the same number of dogs?",
)
"""One of every pattern."""


def parsed(question: str) -> Plan | None:
    """The plan of a question; None where no pattern fits."""
    text = " ".join(question.casefold().split()).rstrip("?. ")
    for pattern, make in _PATTERNS:
        found = re.fullmatch(pattern, text)
        if found is not None:
            return make(*found.groups())
    return None


def conditions(text: str) -> tuple[Shows, ...]:
    """`at least two dogs and no cats`."""
    return tuple(_condition(one.strip()) for one in re.split(r",? and |, ", text))


def _condition(text: str) -> Shows:
    for limit, between in _LIMITS.items():
        found = re.fullmatch(rf"{limit}(\d+|{'|'.join(_WORDS)}) (.+)", text)
        if found is None:
            continue
        number = int(found[1]) if found[1].isdigit() else _WORDS[found[1]]
        if number is None:
            return Shows(thing=found[2])
        # `several dogs` is two or more; `two dogs` is two.
        least, most = (2, None) if found[1] == "several" else between(number)
        return Shows(thing=found[2], least=least, most=most)
    return Shows(thing=text)


def _count(thing: str, among: str | None) -> Plan:
    return Count(thing=thing, among=conditions(among) if among else ())


def _join(left: str, right: str, on: str) -> Plan:
    [one], [other] = conditions(left), conditions(right)
    return Join(left=one, right=other, on={"file": "path", "document": "path"}.get(on, on))


def _same(thing: str) -> Plan:
    return Join(left=Shows(thing=thing), right=Shows(thing=thing), on="number")


_PATTERNS: tuple[tuple[str, Callable[..., Plan]], ...] = (
    (
        rf"how many {_PICTURES}(?: are there)?(?: that)? {_SHOW} (.+)",
        lambda a: In(among=conditions(a)),
    ),
    (
        rf"how many (.+?) (?:are|is) in (?:all |the |my )*{_PICTURES}(?: that)? {_SHOW} (.+)",
        _count,
    ),
    (
        rf"how many (.+?) (?:are there|are|do)(?: in)?(?: all| the| my)*(?: {_PICTURES}| image)?"
        r"(?: show| contain)?()",
        _count,
    ),
    (
        r"what is the (?:largest|highest|greatest|biggest|maximum) number of (.+?) "
        r"in (?:a|any|one)(?: single)? (?:picture|image|photo|photograph)",
        lambda thing: Max(thing=thing),
    ),
    (
        rf"which {_PICTURES} {_SHOW} (.+?) and (?:{_PICTURES} )?of (.+) "
        r"are in the same (file|document|folder)",
        _join,
    ),
    (
        rf"which pairs of {_PICTURES} {_SHOW} the same number of (.+)",
        _same,
    ),
    (rf"which {_PICTURES}(?: that)? {_SHOW} (.+)", lambda a: Select(among=conditions(a))),
)
