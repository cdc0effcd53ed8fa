"""Citations: which evidence each sentence of an answer rests on, and whether it does."""

import re
from collections.abc import Sequence

from chiasm.answering.passages import around, sentences
from chiasm.answering.records import Citation, Evidence
from chiasm.answering.requests import REFUSAL
from chiasm.answering.words import content, numbers, share
from chiasm.retrieval.unit import Span

SUPPORT = 0.6
"""Share of a claim's words that the cited evidence must hold."""
_MARK = re.compile(r"\s*\[(\d+(?:\s*,\s*\d+)*)\]")
_QUOTATION = re.compile(r'"([^"\n]{2,})"|“([^”\n]{2,})”')
_MARK_BEHIND = re.compile(r"([.!?]+)((?:\s*\[\d+(?:\s*,\s*\d+)*\])+)")


def cite(text: str, evidence: Sequence[Evidence]) -> tuple[Citation, ...]:
    """A citation for each sentence and each evidence that it names; a sentence that names none,
    or whose evidence does not hold what it says, is marked as unsupported.

    A sentence is supported by evidence that holds each of its quotations word for word, each of
    its numbers, and `SUPPORT` of its words. A refusal claims nothing and needs no citation.
    """
    found: list[Citation] = []
    for sentence in sentences(_MARK_BEHIND.sub(r"\2\1", text)):
        claim = _MARK.sub("", sentence)
        if bare(claim) in ("", bare(REFUSAL)):
            continue
        marks = [int(one) for mark in _MARK.findall(sentence) for one in mark.split(",")]
        named = [number for number in dict.fromkeys(marks) if 0 < number <= len(evidence)]
        if not named:
            found.append(Citation(sentence=claim, supported=False))
        found += [_citation(claim, number, evidence[number - 1]) for number in named]
    return tuple(found)


def bare(text: str) -> str:
    """A text by which two can be compared: small letters, single spaces."""
    return " ".join(text.casefold().split()).strip(" .")


def _citation(claim: str, number: int, of: Evidence) -> Citation:
    quote = best_quote(claim, of.quote)
    spans = _under(quote, of)
    boxes = [one.box for one in spans if one.box is not None]
    starts = [one.start for one in spans if one.start is not None]
    ends = [one.end for one in spans if one.end is not None]
    return Citation(
        sentence=claim,
        supported=supports(claim, of.quote),
        number=number,
        unit=of.unit,
        path=of.path,
        page=of.page,
        box=around(boxes) if boxes else of.box,
        start=min(starts, default=of.start),
        end=max(ends, default=of.end),
        quote=quote,
    )


def _under(quote: str, of: Evidence) -> list[Span]:
    """The spans that the quote stands on."""
    first = of.quote.find(quote)
    last, at, found = first + len(quote), 0, []
    for span in of.spans:
        if at < last and at + len(span.text) > first:
            found.append(span)
        at += len(span.text) + 1
    return found


def supports(claim: str, quote: str) -> bool:
    """Whether a quote holds a claim's quotations, its numbers and enough of its words."""
    said = [one or other for one, other in _QUOTATION.findall(claim)]
    if any(bare(one) not in bare(quote) for one in said):
        return False
    if not numbers(claim) <= numbers(quote):
        return False
    return share(content(claim), content(quote)) >= SUPPORT


def best_quote(claim: str, quote: str) -> str:
    """The sentence of the evidence with the most words of the claim; the first of equals."""
    parts = sentences(quote)
    wanted = content(claim)
    return max(parts, key=lambda part: share(wanted, content(part))) if parts else ""
