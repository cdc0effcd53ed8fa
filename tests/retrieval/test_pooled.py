import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.retrieval.stores import unit_vector

from chiasm.errors import Misuse
from chiasm.retrieval.pooled import pooled
from chiasm.retrieval.stored_tokens import STORAGES, from_bytes, storage_named, to_bytes


def drawn(count, width, seed=3):
    generator = np.random.default_rng(seed)
    return np.stack([unit_vector(generator, width) for _ in range(count)])


def test_clusters_become_their_unit_means():
    centres = np.eye(7, dtype=np.float32)[:3]
    noise = np.random.default_rng(3).normal(scale=0.01, size=(9, 7)).astype(np.float32)
    vectors = np.repeat(centres, 3, 0) + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = pooled(vectors, 3)
    means = vectors.reshape(3, 3, 7).mean(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    order = found.argmax(1).argsort()
    np.testing.assert_allclose(found[order], means, atol=1e-6)


@settings(deadline=None)
@given(st.integers(1, 23), st.integers(1, 30))
def test_as_many_as_asked_and_of_length_1(count, factor):
    found = pooled(drawn(count, 5), factor)
    assert found.shape == (-(-count // factor), 5) or len(found) < -(-count // factor)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_opposites_and_nonsense():
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    np.testing.assert_array_equal(pooled(vectors, 2), [[1, 0]])
    assert pooled(vectors, 1) is vectors
    with pytest.raises(Misuse, match="pooled by 0"):
        pooled(vectors, 0)


@pytest.mark.parametrize(("name", "row"), [("float16", 26), ("int8", 15), ("signs", 2)])
def test_bytes_are_what_the_storage_reads(name, row):
    storage = STORAGES[name]
    vectors = drawn(11, 13)
    written = to_bytes(storage, vectors)
    assert len(written) == 11 * row
    wanted = storage.read(storage.written(torch.from_numpy(vectors)), 13)
    torch.testing.assert_close(from_bytes(storage, written, 13), wanted)


def test_an_unknown_storage_is_named():
    with pytest.raises(Misuse, match="'int4'; choose float16, int8, signs"):
        storage_named("int4")
