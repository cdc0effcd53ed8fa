"""The README's tables of search: the house embedder, questions to a folder of every kind."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from chiasm.evaluation.committed_embedders import embedders_block
from chiasm.evaluation.committed_files import read, table
from chiasm.evaluation.committed_spoken import speech_block, written_block

WAYS = ("text to picture", "picture to text")
ARMS = ("taught", "structure off", "untaught")


def search_block(root: Path) -> str:
    """Whatever of them has been measured."""
    parts = [
        block(read(path))
        for path, block in (
            (root / "house_embedder/cpu.json", _house),
            (root / "spoken_embedder/speech.json", speech_block),
            (root / "spoken_embedder/written.json", written_block),
            (root / "embedders/stamps.json", embedders_block),
            (root / "search_answers/mixed.json", _questions),
        )
        if path.is_file()
    ]
    return "\n\n".join(parts)


def _house(found: Mapping[str, Any]) -> str:
    head = ("held out", "way", "of", "recall@1", "@5", "@10", *ARMS[1:], "chance")
    lines = [_line(name, way, arms) for name, arms in found["found"].items() for way in WAYS]
    seeds = len(next(iter(found["found"].values()))["taught"])
    told = (
        f"Recall of the house embedder among pictures whose concept or design it was not taught; "
        f"means of {seeds} seeds, the interval of one seed over concepts. The last three columns "
        f"are recall@10: without the structure term, with an untaught projector, by chance."
    )
    return f"{told} `{found['command']}` on {found['machine']}.\n\n{table(head, lines)}"


def _line(name: str, way: str, arms: Mapping[str, Any]) -> tuple[str, ...]:
    def recall(arm: str, k: int) -> float:
        return fmean(one[f"{way}, recall@{k}"]["recall"] for one in arms[arm])

    first = arms["taught"][0]
    last = first[f"{way}, recall@10"]
    low, high = last["interval"]
    return (
        name,
        way,
        f"{first['texts' if way == WAYS[0] else 'pictures']:,}",
        f"{100 * recall('taught', 1):.1f}",
        f"{100 * recall('taught', 5):.1f}",
        f"{100 * recall('taught', 10):.1f} ({100 * low:.1f} to {100 * high:.1f})",
        *(f"{100 * recall(arm, 10):.1f}" for arm in ARMS[1:]),
        f"{100 * last['chance']:.1f}",
    )


def _questions(found: Mapping[str, Any]) -> str:
    cited = found["answers"]["cites a right source"]
    names = list(found["recall"])
    head = ("questions about", "of", *names, "answer cites a right source")
    lines = [
        (
            kind,
            str(own["of"]),
            *(_share(found["recall"][name][kind]) for name in names),
            _share(cited[kind]),
        )
        for kind, own in found["recall"][names[0]].items()
    ]
    units = sum(found["index"]["units"].values())
    refused = found["answers"]["refuses what is not there"]
    told = (
        f"{found['files']} real files of every kind, {units:,} units, indexed in "
        f"{found['index']['seconds']:.0f} s; recall@5 of questions that were written before any "
        f"tuning (constants are chosen on others: `benchmarks/bare_pictures.py`, "
        f"`benchmarks/answer_threshold.py`), and the answers of the reader "
        f"without a language model, which refused {refused['right']} of {refused['of']} questions "
        f"that no file answers."
    )
    return f"{told} `{found['command']}` on {found['machine']}.\n\n{table(head, lines)}"


def _share(of: Mapping[str, Any]) -> str:
    low, high = of["interval"]
    return f"{100 * of['right'] / of['of']:.0f}% ({100 * low:.0f} to {100 * high:.0f})"
