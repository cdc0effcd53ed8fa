"""What is Lance's own: indexes, stored tokens, and several writers of one table."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.retrieval.stores import drawn, unit_vector

from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.lance import Lance, Tuning
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.pooled import pooled
from chiasm.retrieval.store import Column, Row
from chiasm.retrieval.stored_tokens import STORAGES, from_bytes, to_bytes
from chiasm.retrieval.unit import Kind, Unit
from chiasm.retrieval.where import parse

ROOT = Path(__file__).parents[2]
WIDTH = 16
MANY = Tuning(exact_below=200, interacting_below=200, probes=8, refine=10, candidates=60)


def unit(one):
    return Unit(id=one, path=f"{one}.md", file="0" * 64, kind=Kind.TEXT, text=f"row {one}")


def clustered(count, seed=3):
    """Documents of noisy vectors around a few of 40 topics each."""
    generator = np.random.default_rng(seed)
    topics = np.stack([unit_vector(generator, WIDTH) for _ in range(40)])
    found = []
    for at in range(count):
        own = topics[generator.integers(40, size=3)][generator.integers(3, size=11)]
        noisy = own + 0.5 * generator.normal(size=own.shape) / WIDTH**0.5
        noisy = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
        words = noisy.mean(0) / np.linalg.norm(noisy.mean(0))
        found.append(Row(unit=unit(f"u{at}"), words=words, tokens=noisy))
    return found


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    rows = clustered(500)
    store, listed = Lance.open(tmp_path_factory.mktemp("indexed"), tuning=MANY), Listed()
    for one in (store, listed):
        one.put(rows)
        one.maintain()
    return rows, store, listed


def test_indexes_find_most_and_score_exactly(indexed):
    rows, store, listed = indexed
    kinds = {column: index.index_type for index in store.table.list_indices()
             for column in index.columns}  # fmt: skip
    assert kinds["words"] == "IvfRq" and kinds["near"] == "IvfRq" and kinds["terms"] == "FTS"
    shared = {"words": 0, "tokens": 0}
    for row in rows[::25]:
        for name, search in (("words", "nearest"), ("tokens", "interacting")):
            asked = getattr(row, name)
            args = (Column.WORDS, asked) if name == "words" else (asked,)
            every = dict(getattr(listed, search)(*args, 500))
            found = getattr(store, search)(*args, 10)
            assert len(found) == 10
            assert found[0][0] == row.unit.id
            for one, score in found:
                assert score == pytest.approx(every[one], abs=0.01 if name == "tokens" else 1e-5)
            shared[name] += len({one for one, _ in found} & set(list(every)[:10]))
    assert shared["words"] / 200 >= 0.95 and shared["tokens"] / 200 >= 0.9


def test_rows_put_after_the_indexes_are_found_and_deleted_ones_are_not(tmp_path):
    store = Lance.open(tmp_path, tuning=MANY)
    rows = clustered(260)
    store.put(rows)
    store.maintain()
    new = clustered(3, seed=5)
    new = [Row(unit=unit(f"new{at}"), words=row.words, tokens=row.tokens)
           for at, row in enumerate(new)]  # fmt: skip
    store.put(new)
    store.delete(parse("id in (u7, u8)"))
    moved = Row(unit=unit("u9"), words=rows[7].words, tokens=rows[7].tokens)
    store.put([moved])
    for search in (
        lambda row, k: store.nearest(Column.WORDS, row.words, k),
        lambda row, k: store.interacting(row.tokens, k),
    ):
        for row in new:
            assert search(row, 1)[0][0] == row.unit.id
        assert search(rows[7], 1)[0][0] == "u9"
        found = [one for one, _ in search(rows[8], 100)]
        assert "u8" not in found and len(found) == len(set(found))
    assert [one for one, _ in store.matching("new1 new2", 5)] != []
    where = parse("id in (new0, u9, u11)")
    assert {one for one, _ in store.interacting(rows[3].tokens, 9, where)} == {"new0", "u9", "u11"}


@pytest.mark.parametrize("name", list(STORAGES))
def test_tokens_are_scored_as_they_are_stored(tmp_path, name):
    store = Lance.open(tmp_path, tokens=name, pooling=2)
    rows = clustered(23)
    store.put(rows)
    asked = clustered(1, seed=7)[0].tokens
    wanted = {}
    for row in rows:
        kept = from_bytes(STORAGES[name], to_bytes(STORAGES[name], pooled(row.tokens, 2)), WIDTH)
        wanted[row.unit.id] = float((torch.from_numpy(asked) @ kept.T).amax(1).sum())
    for opened in (store, Lance.open(tmp_path)):
        assert dict(opened.interacting(asked, 99)) == pytest.approx(wanted, abs=1e-4)
    each = {"float16": 2 * WIDTH, "int8": WIDTH + 2, "signs": WIDTH // 8}[name]
    assert 6 * each < store.bytes_per_unit()["tokens"] < 6 * each + 50
    for other in ({"tokens": "int8" if name != "int8" else "signs"}, {"pooling": 3}):
        with pytest.raises(Misuse, match="stores tokens with"):
            Lance.open(tmp_path, **other)


def test_writers_of_the_same_rows_leave_each_once(tmp_path):
    stores = [Lance.open(tmp_path) for _ in range(3)]
    generator = np.random.default_rng(3)
    batches = [[drawn(generator, f"u{one}") for one in range(13)] for _ in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda at: stores[at % 3].put(batches[at]), range(6)))
    for store in stores:
        assert store.count() == 13
        ids = store.table.search().select(["id"]).to_arrow()["id"].to_pylist()
        assert sorted(ids) == sorted(f"u{one}" for one in range(13))
        # Each write is whole: all rows are of one batch.
        units = [[row.unit for row in batch] for batch in batches]
        assert store.units([f"u{one}" for one in range(13)]) in units


@pytest.fixture
def bucket(monkeypatch):
    """An object store on this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    told = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT": url,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="shelf")
    yield "s3://shelf/library", {name.lower(): value for name, value in told.items()}
    server.stop()


def test_object_storage_has_many_readers_and_writers(bucket, monkeypatch):
    location, options = bucket
    command = [sys.executable, "-m", "tests.retrieval.putting", location, "process", "3"]
    source = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    process = subprocess.Popen(command, cwd=ROOT, env=source, stdout=subprocess.DEVNULL)
    for name in options:
        monkeypatch.delenv(name.upper())
    generator = np.random.default_rng(3)
    batches = [[drawn(generator, f"{at}-{one}") for one in range(5)] for at in range(6)]
    writers = [Lance.open(location, storage_options=options) for _ in range(2)]
    reader = Lance.open(location, storage_options=options)

    def write(at):
        writers[at % 2].put(batches[at])
        return reader.count(parse(f"id~'{at}-'"))

    with ThreadPoolExecutor(2) as pool:
        assert all(count >= 5 for count in pool.map(write, range(6)))
    assert process.wait() == 0
    listed = Listed()
    for batch in batches:
        listed.put(batch)
    assert reader.count() == 30 + 21
    reader.maintain()
    ids = [row.unit.id for batch in batches for row in batch]
    assert writers[0].units(ids) == listed.units(ids)
    query = unit_vector(generator)
    where = parse("not id~process")
    found = writers[1].nearest(Column.WORDS, query, 99, where)
    assert dict(found) == pytest.approx(dict(listed.nearest(Column.WORDS, query, 99)), abs=1e-5)
    with pytest.raises(ChiasmError, match="no-such-bucket"):
        Lance.open("s3://no-such-bucket/library", storage_options=options)
