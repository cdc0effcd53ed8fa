"""Words as full-text search counts them: the same in every engine, since all are given these."""

import re
import unicodedata
from functools import cache

from chiasm.retrieval.unit import Unit

LONGEST = 64
"""Characters of a term that count; longer runs are codes, not words."""
ACCENTS = re.compile("[\u0300-\u036f]")
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
"""Runs of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Kana, Han."""


def terms(text: str) -> list[str]:
    """Small letters without accents; plural endings off; pairs of characters of unspaced scripts.

    Plurals by Harman's S-stemmer (JASIS 42, 1991): -ies to -y, -es to -e, -s to nothing, each with
    its exceptions.
    """
    bare = ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    found: list[str] = []
    for word in _word().findall(unicodedata.normalize("NFC", bare)):
        at = 0
        for run in UNSPACED.finditer(word):
            found += _spaced(word[at : run.start()])
            own = run.group()
            found += [own[i : i + 2] for i in range(max(1, len(own) - 1))]
            at = run.end()
        found += _spaced(word[at:])
    return found


def unit_terms(unit: Unit) -> list[str]:
    """Of its title, its words and its path."""
    return terms(f"{unit.title}\n{unit.text}\n{unit.path}")


@cache
def _word() -> re.Pattern[str]:
    # The vowel signs of Indic scripts are marks, not letters, and stand inside words.
    marks = [one for one in map(chr, range(0x10000)) if unicodedata.category(one)[0] == "M"]
    return re.compile(f"(?:[^\\W_]|[{''.join(marks)}])+")


def _spaced(word: str) -> list[str]:
    return [_singular(word)[:LONGEST]] if word else []


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return f"{word[:-3]}y"
    if word.endswith(("us", "ss", "aes", "ees", "oes")):
        return word
    return word[:-1]
