"""The README's tables of speech and of other languages against the house embedder's pictures."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from chiasm.evaluation.committed_files import table

WAYS = ("to picture", "from picture")


def speech_block(found: Mapping[str, Any]) -> str:
    """Each loss, an untaught projector, and what Whisper writes down of English."""
    told = (
        f"Speech and pictures, of stamps whose captions were not taught, by a projector of "
        f"Whisper's states taught on {found['taught clips']:,} clips in three languages, none of "
        f"them English. Recall@10 of InfoNCE with the English words, with words and picture "
        f"(`pairwise`), of GRAM's `volume`, each from the start and `continued` after half the "
        f"steps with the words, untaught, and of the words that Whisper writes down."
    )
    return _block(found, told)


def written_block(found: Mapping[str, Any]) -> str:
    """Each reader of written captions, and MiniLM, which was taught English."""
    english = found["English captions"]["to picture, recall@10"]["recall"]
    told = (
        f"Written captions in other languages and pictures, as above: recall@10 by Whisper's table "
        f"of tokens and by hashed runs of letters (`n-grams`), each also with the names of emoji "
        f"taught, and by MiniLM as it is. English captions: {100 * english:.1f}."
    )
    return _block(found, told)


def _block(found: Mapping[str, Any], told: str) -> str:
    languages, best = found["found"], found["shipped"]
    others = {arm: None for own in languages.values() for arm in own if arm != best}
    lines = [
        _line(language, way, own, best, list(others))
        for language, own in languages.items()
        for way in WAYS
    ]
    seeds = len(next(iter(languages.values()))[best])
    told += (
        f" Means of {seeds} seeds; the first three figures are of `{best}`, which comes with "
        f"chiasm, the interval of one seed over captions."
    )
    head = ("language", "way", "of", "recall@1", "@5", "@10", *others, "chance")
    return f"{told} `{found['command']}` on {found['machine']}.\n\n{table(head, lines)}"


def _line(
    language: str, way: str, own: Mapping[str, Any], best: str, others: Sequence[str]
) -> tuple[str, ...]:
    def recall(arm: str, k: int) -> str:
        runs = [one[f"{way}, recall@{k}"]["recall"] for one in own.get(arm, ())]
        return f"{100 * fmean(runs):.1f}" if runs else ""

    last = own[best][0][f"{way}, recall@10"]
    low, high = last["interval"]
    return (
        language,
        way,
        f"{own[best][0]['items' if way == WAYS[0] else 'pictures that ask']:,}",
        *(recall(best, k) for k in (1, 5)),
        f"{recall(best, 10)} ({100 * low:.1f} to {100 * high:.1f})",
        *(recall(arm, 10) for arm in others),
        f"{100 * last['chance']:.1f}",
    )
