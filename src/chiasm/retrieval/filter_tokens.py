"""The words, quotes and signs of a filter's text."""

import re
from typing import NamedTuple

from chiasm.errors import Misuse

TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
        |(?P<sign><=|>=|!=|[=<>~(),])
        |(?P<word>[^\s=<>~!(),"']+)
        |(?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    sort: str
    text: str
    at: int
    """Its first character's place, from 1."""


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while not found or found[-1].sort != "end":
        match = TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            place = len(text) - len(rest) + 1
            why = "a quote that never closes" if rest[0] in "\"'" else f"{rest[0]!r}"
            raise Misuse(f"filter, character {place}: {why} cannot be read")
        sort = str(match.lastgroup)
        found.append(Token(sort, match[sort], match.start(sort) + 1))
        at = match.end()
    return found


def unreadable(token: Token, wanted: str) -> Misuse:
    there = "the end" if token.sort == "end" else repr(token.text)
    return Misuse(f"filter, character {token.at}: {there} where {wanted} should stand")


def unquoted(token: Token) -> str:
    if token.sort != "quoted":
        return token.text
    return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
