"""The indexes of a large Lance table, those that are missing or that its filters can use."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from chiasm.retrieval.store import Column


def build(table: Any, rows: int, documents: int) -> Iterator[Callable[[], None]]:
    """What to call, one index each: over vectors, words, ids and paths from so many `rows` on that
    have the column, over tokens from so many `documents` on.
    """
    from lancedb.index import FTS, BTree, IvfFlat, IvfRq

    have = {name for index in table.list_indices() for name in index.columns}
    names = table.schema.names
    for column in (*Column, "near"):
        least = documents if column == "near" else rows
        if column in names and column not in have:
            if table.count_rows(f"{column} IS NOT NULL") < least:
                continue
            kind = table.schema.field(column).type
            width = kind.list_size if column != "near" else kind.value_type.list_size
            # RaBitQ rotates vectors by blocks of 8 entries.
            config = IvfFlat if width % 8 else IvfRq
            yield partial(table.create_index, str(column), config=config(distance_type="cosine"))
    if table.count_rows() < rows:
        return
    if "terms" not in have:
        # The terms are made: the engine only takes them apart where the spaces are.
        words = FTS(
            base_tokenizer="whitespace",
            max_token_length=None,
            lower_case=False,
            stem=False,
            remove_stop_words=False,
            ascii_folding=False,
        )
        yield partial(table.create_index, "terms", config=words)
    for column in ("id", "path"):
        if column not in have:
            yield partial(table.create_index, column, config=BTree())
