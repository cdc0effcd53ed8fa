"""Caches: what they return, what they hold, what they refuse."""

import pytest
import torch

from chiasm.backbone import GrowingCache, StaticCache
from chiasm.stream import ALL, TEXT, TokenTable


def pair(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(2, 3, rows, 5, generator=generator) for _ in range(2))
    return keys, values


def rows(count: int) -> TokenTable:
    return TokenTable.text(torch.ones(2, count, dtype=torch.bool))


@pytest.mark.parametrize("make", [GrowingCache, lambda: StaticCache(7)])
def test_rows_are_returned_in_the_order_they_came(make):
    cache, first, second = make(), pair(4, 1), pair(3, 2)
    got = cache.append(0, *first, rows(4))
    assert all(torch.equal(a, b) for a, b in zip(got, first, strict=True))
    got = cache.append(0, *second, rows(3))
    for whole, a, b in zip(got, first, second, strict=True):
        assert torch.equal(whole, torch.cat([a, b], 2))


@pytest.mark.parametrize("make", [GrowingCache, lambda: StaticCache(9)])
def test_layers_are_kept_apart(make):
    cache = make()
    cache.append(0, *pair(4, 1), rows(4))
    keys, _ = cache.append(1, *pair(2, 2), rows(2))
    assert torch.equal(keys, pair(2, 2)[0])


def test_a_full_cache_says_what_it_needs_and_what_it_holds():
    cache = StaticCache(5)
    cache.append(2, *pair(4, 1), rows(4))
    with pytest.raises(ValueError, match="layer 2 needs 6 cached rows, the cache holds 5"):
        cache.append(2, *pair(2, 2), rows(2))


def test_bytes_count_keys_values_and_memories():
    growing, static = GrowingCache(), StaticCache(10)
    for cache in (growing, static):
        cache.append(0, *pair(4, 1), rows(4))
        cache.memory[0] = pair(6, 3)
    memory = 2 * (2 * 3 * 6 * 5) * 4
    assert growing.bytes == 2 * (2 * 3 * 4 * 5) * 4 + memory
    assert static.bytes == 2 * (2 * 3 * 10 * 5) * 4 + memory


def test_tables_grow_by_row_set():
    cache, rows = GrowingCache(), TokenTable.text(torch.ones(1, 3, dtype=torch.bool))
    assert cache.extend(ALL, rows) is rows
    assert cache.extend(ALL, rows.cut(slice(0, 1))).shape == (1, 4)
    assert cache.extend(TEXT, rows).shape == (1, 3)
