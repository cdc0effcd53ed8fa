"""Hard negatives of a teaching set, found with the embedder as it is."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from chiasm.embedders.alike import numbered
from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.pairs import PairLike
from chiasm.errors import ChiasmError
from chiasm.hub.tensors import write_tensors
from chiasm.retrieval.embedding import take
from chiasm.retrieval.mining import Ranked

ROWS = 256
"""Queries that are scored at a time."""
Sample = tuple[int, int]
"""(task, pair)."""
Negatives = dict[Sample, list[Sample]]


def mine(embedder: BuiltEmbedder, pairs: Sequence[PairLike], seed: int) -> Negatives:
    """The negatives of each query, among the documents of all tasks: a mixed pool."""
    batches = embedder.model.answers.batches
    tasks = range(len(batches.tasks))
    pool: list[Sample] = [(task, pair) for task in tasks for pair in range(len(pairs))]
    held = [batches.tasks[task].holds(pairs[pair], 0, task) for task, pair in pool]
    documents = embedder.embed_contents(held)
    # Told apart by numbers, once: a comparison of all parts with all takes hours.
    names = numbered([pairs[pair].texts[0] for _, pair in pool])
    made = numbered([one.parts for one in held])
    kinds = torch.tensor([one.kind for one in held])
    found: Negatives = {}
    for task in tasks:
        asked = [batches.tasks[task].asks(pair, 0, task) for pair in pairs]
        queries: Any = embedder.embed_contents(asked)
        first_of = task * len(pairs)
        wanted = kinds[first_of:][: len(pairs)]
        for first in range(0, len(pairs), ROWS):
            rows = torch.arange(first, min(first + ROWS, len(pairs)))
            ranked = Ranked(
                scores=embedder.model.scores(take(queries, rows), documents),
                right=_right(names, first_of + rows) | _right(made, first_of + rows),
                candidate_kind=kinds,
                wanted_kind=wanted[rows],
            )
            mined = batches.mining.mine(ranked, seed + first)
            found |= {
                (task, int(pair)): [pool[at] for at in negatives]
                for pair, negatives in zip(rows, mined, strict=True)
            }
    return found


def write_mined(found: Negatives, path: Path) -> None:
    """Keep them, for a run that goes on later."""
    rows = [(*query, *negative) for query, held in found.items() for negative in held]
    new = path.with_suffix(".new")
    write_tensors({"mined": torch.tensor(rows, dtype=torch.int64).view(-1, 4)}, new)
    os.replace(new, path)


def read_mined(path: Path) -> Negatives:
    """The reverse.

    Raises:
        ChiasmError: the file is damaged.
    """
    try:
        rows = load_file(path)["mined"].tolist()
    except (OSError, KeyError, SafetensorError) as error:
        raise ChiasmError(f"{path}: cannot be read ({error}); start the run anew") from None
    found: Negatives = defaultdict(list)
    for task, pair, *negative in rows:
        found[task, pair].append((negative[0], negative[1]))
    return found


def _right(numbers: Int[Tensor, " document"], own: Int[Tensor, " query"]) -> Tensor:
    """Documents that equal the queries' own in what the numbers tell apart."""
    return numbers[own].unsqueeze(1) == numbers
