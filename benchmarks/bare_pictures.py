"""Pictures without words among texts: how rankings are fused, and when a picture is an answer.

`picture_questions.json` describes 60 pictures of the held-out fifth of the packaged pairs; 20 of
them have names that say nothing. They lie among 140 others and the 16 texts of
`answer_questions.json`, whose questions are asked too. Fusion: recall@5 over the constant k of
reciprocal ranks. Threshold: the least fit of a picture that answers, chosen where most questions go
well: the right picture above it, or none above it when that picture is taken away. Chosen on every
second question it is judged on the others, and the other way round.

    python benchmarks/bare_pictures.py
"""

import argparse
import io
import json
import random
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from answer_threshold import best_threshold, share, unit
from recording import recorded

from chiasm.answering.passages import cut
from chiasm.answering.readers.extractive import PICTURE_THRESHOLD, Extractive
from chiasm.data import pairs
from chiasm.data.media import read_image
from chiasm.data.pairs import Pair, split_of
from chiasm.data.views import picture
from chiasm.embedders.house import House
from chiasm.library.searching import DEEP, FLAT, rankings
from chiasm.library.vectors import Vectors
from chiasm.retrieval import Item
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.reciprocal import reciprocal
from chiasm.retrieval.unit import Kind, Unit

HERE = Path(__file__).parent
OTHERS = 140
CONSTANTS = (60, 30, 10, 5, 3, 1)
K = 5


@dataclass(frozen=True)
class Asked:
    question: str
    sources: frozenset[str]
    """Paths of right answers; none where nothing answers."""
    kind: str


@dataclass(frozen=True)
class Outcome:
    """One question: the fits of its picture and of the best other one."""

    own: float
    other: float

    def good(self, threshold: float) -> int:
        """Of the two ways to ask it, with its picture and without, those that go well."""
        return int(self.own > max(self.other, threshold)) + int(self.other < threshold)


def assembled(seed: int) -> tuple[list[Unit], list[Asked]]:
    described = json.loads((HERE / "picture_questions.json").read_text(encoding="utf-8"))
    texts = json.loads((HERE / "answer_questions.json").read_text(encoding="utf-8"))
    every = {pair.id: pair for read in pairs.SETS.values() for pair in read()}
    named = {every[one].concept for one, _ in described}
    rest = [
        one.id
        for one in every.values()
        if split_of(one.concept) == "test"
        and one.concept not in named
        and one.design in ("", "fluent")
    ]
    ids = [one for one, _ in described] + random.Random(seed).sample(rest, OTHERS)
    units = [_pictured(every[one]) for one in ids]
    asked = [Asked(said, frozenset({one}), one.split("/")[0]) for one, said in described]
    for one in texts:
        whole = unit(one)
        units += [
            replace(whole, id=f"{whole.id}#{number}", text=passage.text)
            for number, passage in enumerate(cut(whole))
        ]
        asked += [Asked(said, frozenset({whole.path}), "text") for said, _ in one["questions"]]
        asked += [Asked(said, frozenset(), "missing") for said in one["missing"]]
    return units, asked


def _pictured(of: Pair) -> Unit:
    kept = io.BytesIO()
    picture(of.picture).convert("RGB").save(kept, "PNG")
    title = of.id.rsplit("/", 1)[-1].replace("_", " ").replace("-", " ")
    return Unit(
        id=of.id, path=of.id, file=of.id, kind=Kind.IMAGE, title=title, picture=kept.getvalue()
    )


def fused(units: list[Unit], asked: list[Asked], vectors: Vectors) -> dict[str, Any]:
    """Recall@5 by kind of question for each k."""
    store = Listed()
    store.put(vectors.rows(units))
    paths = {one.id: one.path for one in units}
    hits: dict[int, dict[str, list[bool]]] = {k: defaultdict(list) for k in CONSTANTS}
    for one in asked:
        if not one.sources:
            continue
        query = Query(parts=(Part(item=Item(text=one.question)),), k=K)
        ranked = rankings(store, vectors, query, DEEP).values()
        lists = [[id_ for id_, _ in found] for found in ranked]
        for k, found in hits.items():
            places = dict.fromkeys(paths[id_] for id_, _ in reciprocal(lists, k=k))
            found[one.kind].append(bool(one.sources & set(list(places)[:K])))
    return {
        f"k = {k}": {kind: share(sum(own), len(own)) for kind, own in found.items()}
        for k, found in hits.items()
    }


def likenesses(reader: Extractive, units: list[Unit], asked: list[Asked]) -> torch.Tensor:
    """`[question, picture]`"""
    shown = [
        (one.title, read_image(io.BytesIO(one.picture))) for one in units if one.picture is not None
    ]
    return reader.likeness([one.question for one in asked], shown)


def _best(of: list[Outcome]) -> float:
    fits = [fit for one in of for fit in (one.own, one.other)]
    return best_threshold(fits, lambda threshold: sum(one.good(threshold) for one in of))


def judged(of: list[Outcome], missing: list[float], threshold: float) -> dict[str, Any]:
    return {
        "right": share(sum(one.own > max(one.other, threshold) for one in of), len(of)),
        "refused without its picture": share(sum(one.other < threshold for one in of), len(of)),
        "refused, questions for texts": share(
            sum(fit < threshold for fit in missing), len(missing)
        ),
    }


def main() -> int:
    """Measures, prints, writes; 1 if what is shipped is not what is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    units, asked = assembled(options.seed)
    house = House.open()
    recalls = fused(units, asked, Vectors(house))
    right = {k: sum(own["count"] for own in kinds.values()) for k, kinds in recalls.items()}
    described = [one for one in asked if one.kind not in ("text", "missing")]
    texts = [one for one in asked if one.kind in ("text", "missing")]
    fits = likenesses(Extractive(house), units, [*described, *texts])
    outcomes = [
        Outcome(float(row[at]), float(torch.cat([row[:at], row[at + 1 :]]).max()))
        for at, row in enumerate(fits[: len(described)])
    ]
    missing = fits[len(described) :].max(1).values.tolist()
    halves: list[dict[str, Any]] = []
    for chosen, held in ((outcomes[::2], outcomes[1::2]), (outcomes[1::2], outcomes[::2])):
        threshold = _best(chosen)
        found = judged(held, missing, threshold)
        halves.append({"threshold": threshold, "on the other half": found})
    threshold = _best(outcomes)
    shipped = judged(outcomes, missing, PICTURE_THRESHOLD)
    for name, row in (*recalls.items(), ("right of all", right), ("shipped", shipped)):
        print(name, json.dumps(row))
    print(f"measured threshold {threshold:.4f}, shipped {PICTURE_THRESHOLD}; k shipped {FLAT}")
    recorded(
        __file__,
        options.out,
        {
            "seed": options.seed,
            "metric": "recall@5 by k of reciprocal ranks; questions that a picture answers",
            "recall": recalls,
            "found": right,
            "k shipped": FLAT,
            "threshold": threshold,
            "shipped": PICTURE_THRESHOLD,
            "at the shipped threshold": shipped,
            "halves": halves,
        },
    )
    return int(abs(threshold - PICTURE_THRESHOLD) > 0.02)


if __name__ == "__main__":
    sys.exit(main())
