"""Do spaces of frozen encoders that are more alike lead to embedders that find more?

Every setting is a pair of frozen encoders, of pictures and of words. Before anything joins them,
how alike they are is measured on the pairs that will be taught: linear CKA (From Unimodal to
Multimodal, arXiv 2409.19425) and mutual nearest neighbours (STRUCTURE, arXiv 2506.16895). Then
projectors are taught, alike in all settings, and asked for pairs whose concepts were not taught.

    python benchmarks/alike_spaces.py                       # 13 settings, about 15 minutes
    python benchmarks/alike_spaces.py --settings map-96 head-96 --samples 1280
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from embedder_measures import recall, spaces_of
from recording import recorded

from chiasm.embedders.building import prepare
from chiasm.embedders.pairs import pairs_named
from chiasm.embedders.remembered import remembered
from chiasm.embedders.teaching import Teacher
from chiasm.encoders import EfficientNetLite0
from chiasm.errors import Misuse
from chiasm.evaluation.representations import linear_cka, mutual_knn
from chiasm.inspection.ranks import bootstrap, pearson, spearman
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderAnswers, registered_embedders
from chiasm.training.budget import Budget

SIDES = (64, 96, 160)
PREDICTIONS = {"cka": linear_cka, "mutual_knn": mutual_knn}


def settings() -> dict[str, EmbedderAnswers]:
    """Levels of a taught encoder of pictures at three sizes; encoders as they were drawn."""
    base = registered_embedders()["unimodal-to-multimodal"].at(Scale.NANO)
    words, pictures = base.encode
    seen = pictures.encoder

    def of(level: Any, side: int, *, drawn: bool = False, text: Any = words) -> EmbedderAnswers:
        encoder = EfficientNetLite0(level=level, **({"weights": None} if drawn else {}))
        sized = replace(seen, encoder=encoder, height=side, width_pixels=side)
        return replace(base, encode=(text, replace(pictures, encoder=sized)))

    unread = replace(words, encoder=replace(words.encoder, weights=None, longest=64))
    levels = ("map", "head", "classes")
    found = {f"{level}-{side}": of(level, side) for level in levels for side in SIDES}
    found |= {f"{level}-96-drawn": of(level, 96, drawn=True) for level in levels[:2]}
    found |= {f"{level}-96-words-drawn": of(level, 96, text=unread) for level in levels[:2]}
    return found


def measured(answers: EmbedderAnswers, options: argparse.Namespace) -> dict[str, float]:
    """How alike the two spaces are, and recall@10 once they are projected."""
    taught = remembered(pairs_named(options.data, "train"))
    asked = remembered(pairs_named(options.data, "test"))
    embedder = prepare(answers, [text for pair in taught for text in pair.texts], options.seed)
    spaces = spaces_of(embedder, taught)
    found = {name: measure(*spaces) for name, measure in PREDICTIONS.items()}
    with TemporaryDirectory() as scratch:
        Teacher(
            embedder=embedder,
            pairs=taught,
            budget=Budget(samples=options.samples),
            out=Path(scratch),
            seed=options.seed,
        ).run()
    return {**found, "recall": recall(embedder, asked)}


def main() -> None:
    """Measure, print and write `results/alike_spaces`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", nargs="*", help="names; all of them by default")
    parser.add_argument("--data", default="stamps")
    parser.add_argument("--samples", type=int, default=6_400, help="pairs taught")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = settings()
    chosen = options.settings or list(known)
    rows: list[dict[str, Any]] = []
    for name in chosen:
        if name not in known:
            raise Misuse(f"no setting is called {name!r}; there are {', '.join(known)}")
        rows.append({"setting": name, **measured(known[name], options)})
        print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    found: dict[str, dict[str, float]] = {}
    for prediction in PREDICTIONS:
        pairs = [row[prediction] for row in rows], [row["recall"] for row in rows]
        found[prediction] = {}
        for kind, measure in (("pearson", pearson), ("spearman", spearman)):
            low, high = bootstrap(measure, *pairs)
            value = measure(*pairs)
            found[prediction] |= {kind: value, f"{kind}_low": low, f"{kind}_high": high}
            print(f"{prediction}, {kind}: {value:+.3f} ({low:+.3f} to {high:+.3f})")
    record = {
        "settings": rows,
        "correlations": found,
        "interval": "95%, settings drawn again with replacement, 2000 draws",
        **{name: getattr(options, name) for name in ("data", "samples", "seed")},
    }
    recorded(__file__, options.out, record)


if __name__ == "__main__":
    main()
