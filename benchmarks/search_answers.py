"""68 questions to a folder of real files: `python benchmarks/search_answers.py`.

Indexes the folder and records recall@5 of `chiasm search` for each kind of file, beside BM25 over
the extracted text alone and over file names alone; then the answers of `chiasm answer` without a
language model: how many cite a right source, and how many questions without one are refused. A hit
is right if it is of a source's file, and of its page where the question names one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from mixed_folder import assemble
from recording import recorded

from chiasm.answering.desk import Question, Tools
from chiasm.answering.pipeline import answer
from chiasm.answering.pipeline import pipeline as named
from chiasm.answering.readers import open_reader
from chiasm.evaluation.interval import wilson
from chiasm.library import Library
from chiasm.library.searching import DEEP, rankings
from chiasm.retrieval import Item
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.reciprocal import reciprocal
from chiasm.retrieval.store import Row
from chiasm.retrieval.unit import Unit
from chiasm.retrieval.where import Compare

QUESTIONS = Path(__file__).with_name("mixed_questions.json")
K = 5
Search = Callable[[str], Sequence[tuple[str, int | None]]]
"""The first places found: path, and page if it has one."""


def searches(library: Library) -> dict[str, Search]:
    """Ours, as it is and with the flatter fusion that it had before any tuning on these questions,
    and BM25 over the text that was extracted, and over names.
    """
    every = [row.unit for row in library.store.select(Compare("path", "!=", ""))]

    def ours(question: str) -> list[tuple[str, int | None]]:
        query = Query(parts=(Part(item=Item(text=question)),), k=4 * K)
        return _places([hit.unit for hit in library.search(query)])

    def by(change: Callable[[Unit], Unit]) -> Search:
        listed = Listed()
        listed.put([Row(unit=change(unit)) for unit in every])

        def found(question: str) -> list[tuple[str, int | None]]:
            ids = [one for one, _ in listed.matching(question, 4 * K)]
            own = {unit.id: unit for unit in every}
            return _places([own[one] for one in ids])

        return found

    def flat(question: str) -> list[tuple[str, int | None]]:
        query = Query(parts=(Part(item=Item(text=question)),), k=4 * K)
        found = rankings(library.store, library.vectors, query, DEEP)
        lists = [[one for one, _ in ranked] for ranked in found.values()]
        return _places(library.units([one for one, _ in reciprocal(lists)]))

    return {
        "chiasm search": ours,
        "the same, k = 60": flat,
        "BM25, extracted text": by(lambda unit: replace(unit, path="")),
        "BM25, file names": by(lambda unit: replace(unit, text="", title="", spans=())),
    }


def _places(units: Sequence[Unit]) -> list[tuple[str, int | None]]:
    """Places in the order they were found, each once."""
    return list(dict.fromkeys((unit.path, unit.page) for unit in units))[:K]


def right(places: Sequence[tuple[str, int | None]], sources: Sequence[dict[str, Any]]) -> bool:
    return any(
        path == source["path"] and source.get("page") in (None, page)
        for path, page in places
        for source in sources
    )


def indexed(folder: Path, into: Path) -> dict[str, Any]:
    """What `chiasm index --json` says of a new library, and the seconds that the command took."""
    shutil.rmtree(into, ignore_errors=True)
    command = [sys.executable, "-m", "chiasm.cli.main", "index", str(folder)]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--into", str(into), "--embedder", "house", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = json.loads(done.stdout)
    return {"seconds": round(time.perf_counter() - began, 1), "units": told["units"]}


def share(hits: Sequence[bool]) -> dict[str, Any]:
    low, high = wilson(sum(hits), len(hits))
    return {"right": sum(hits), "of": len(hits), "interval": [round(low, 4), round(high, 4)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/mixed/files"))
    parser.add_argument("--library", type=Path, default=Path("runs/mixed/library"))
    parser.add_argument("--out", type=Path, help="result file")
    asked = parser.parse_args()
    if not asked.folder.is_dir():
        assemble(asked.folder)
    made = indexed(asked.folder, asked.library)
    print(made, flush=True)
    told = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    library = Library.open(asked.library)
    recalls: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    missed: dict[str, list[str]] = defaultdict(list)
    for name, search in searches(library).items():
        for one in told["questions"]:
            hit = right(search(one["question"]), one["sources"])
            recalls[name][one["kind"]].append(hit)
            recalls[name]["all"].append(hit)
            if not hit:
                missed[name].append(one["question"])
    answers = answered(library, told)
    found = {
        "files": sum(path.is_file() for path in asked.folder.rglob("*")),
        "index": made,
        "recall": {
            name: {kind: share(hits) for kind, hits in own.items()} for name, own in recalls.items()
        },
        "missed": missed["chiasm search"],
        "answers": answers,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(found["recall"], indent=1), json.dumps(answers, indent=1))
    recorded(__file__, asked.out, found, name="mixed")


def answered(library: Library, told: dict[str, Any]) -> dict[str, Any]:
    """Of the plain pipeline with the extractive reader."""
    tools = Tools(
        library=library,
        embedder=library.vectors.embedder,
        reader=open_reader(None, model=None, embedder=library.vectors.embedder),
    )

    def places(question: str) -> list[tuple[str, int | None]]:
        said = answer(named("plain"), Question(text=question), tools).answered()
        return [(one.path, one.page) for one in said.citations if one.path is not None]

    cited: dict[str, list[bool]] = defaultdict(list)
    given: list[bool] = []
    for one in told["questions"]:
        found = places(one["question"])
        given.append(bool(found))
        cited[one["kind"]].append(right(found, one["sources"]))
    cited["all"] = [hit for hits in list(cited.values()) for hit in hits]
    return {
        "cites a right source": {kind: share(hits) for kind, hits in cited.items()},
        "answers at all": share(given),
        "refuses what is not there": share([not places(one) for one in told["absent"]]),
    }


if __name__ == "__main__":
    main()
