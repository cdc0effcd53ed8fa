import numpy as np
import pytest
from tests.retrieval.stores import TOKEN_WIDTH, WIDTH, drawn, unit_vector, vectors

from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.bulk import build
from chiasm.retrieval.lance import Lance
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.rows import Widths
from chiasm.retrieval.store import Column

WIDTHS = Widths(WIDTH, TOKEN_WIDTH)


def shard_rows(shard):
    """On a worker."""
    name, count = shard
    if count < 0:
        raise ValueError("this shard cannot be read")
    generator = np.random.default_rng(count)
    for one in range(count):
        yield drawn(generator, f"{name}-{one}")


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.mark.slow
def test_shards_of_many_workers_become_one_table(cluster, tmp_path):
    shards = [("a", 11), ("b", 0), ("c", 523), ("d", 7)]
    assert build(tmp_path, shards, shard_rows, WIDTHS) == 541
    store, listed = Lance.open(tmp_path), Listed()
    for shard in shards:
        listed.put(list(shard_rows(shard)))
    generator = np.random.default_rng(3)
    query, asked = unit_vector(generator), vectors(generator)
    ids = list(listed.rows)
    assert store.count() == 541 and store.units(ids) == listed.units(ids)
    found = dict(store.nearest(Column.WORDS, query, 999))
    assert found == pytest.approx(dict(listed.nearest(Column.WORDS, query, 999)), abs=1e-5)
    found = dict(store.interacting(asked, 999))
    assert found == pytest.approx(dict(listed.interacting(asked, 999)), abs=1e-2)
    store.put([drawn(generator, "a-3"), drawn(generator, "new")])
    store.maintain()
    assert store.count() == 542

    with pytest.raises(Misuse, match="'a-0' and 10 others came twice; nothing was kept"):
        build(tmp_path, [("a", 11), ("e", 5)], shard_rows, WIDTHS)
    with pytest.raises(ChiasmError, match="no rows of shard 1: this shard cannot be read"):
        build(tmp_path, [("f", 5), ("g", -1)], shard_rows, WIDTHS)
    assert Lance.open(tmp_path).count() == 542


def test_no_shard_is_refused(tmp_path):
    with pytest.raises(Misuse, match="no shard"):
        build(tmp_path, [], shard_rows, WIDTHS)
