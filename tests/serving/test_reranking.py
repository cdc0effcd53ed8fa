"""A served reranker: /rerank and /search give its own order, held against it called directly."""

import httpx
import pytest
import torch
from sentence_transformers import CrossEncoder
from tests.serving.conftest import complaint, png, served, uri
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from chiasm import weights
from chiasm.errors import Misuse
from chiasm.serving.opening import opened
from chiasm.serving.settings import Settings

DOCUMENTS = ["a red car", "the sea at night", "seven wheels", "parked outside"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small one with fresh weights and MiniLM's tokenizer."""
    folder = tmp_path_factory.mktemp("rerankers") / "cross"
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=64, num_labels=1, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights.path("minilm-l6")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return CrossEncoder(str(folder), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def client(folder, library):
    services = opened(Settings(), library=str(library), rerank=str(folder))
    with (
        served(services) as address,
        httpx.Client(base_url=address, timeout=30, trust_env=False) as found,
    ):
        yield found


def test_documents_in_its_order(client, model):
    answer = client.post("/rerank", json={"query": "how many wheels", "documents": DOCUMENTS})
    found = answer.json()
    scores = model.predict([("how many wheels", one) for one in DOCUMENTS])
    assert found["model"] == "cross"
    assert [one["index"] for one in found["results"]] == scores.argsort()[::-1].tolist()
    assert [one["relevance_score"] for one in found["results"]] == pytest.approx(
        sorted(scores.tolist(), reverse=True), abs=1e-5
    )


def test_the_embedder_is_still_there_by_name(client):
    asked = {"query": "a", "documents": DOCUMENTS}
    near = client.post("/rerank", json={**asked, "model": "clip"}).json()
    own = client.post("/rerank", json={**asked, "model": "cross"}).json()
    assert near["model"] == "clip" and near["results"] != own["results"]
    names = [one["id"] for one in client.get("/v1/models").json()["data"]]
    assert names == ["clip", "cross"] and client.get("/health").json()["rerank"]


def test_the_first_hits_of_a_search(client):
    plain = client.post("/search", json={"text": "red car", "k": 6}).json()["hits"]
    found = client.post("/search", json={"text": "red car", "k": 4, "rerank": 3}).json()["hits"]
    assert {one["id"] for one in found[:3]} == {one["id"] for one in plain[:3]}
    assert [one["stage"] for one in found] == ["cross-encoder"] * 3 + ["fused"]
    scores = [one["score"] for one in found[:3]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"instruction": "Be kind."}, "takes no instruction"),
        ({"query": {"image": uri(png())}}, "add words"),
        ({"model": "other"}, "no model 'other'"),
    ],
)
def test_refusals(client, changed, said):
    answer = client.post("/rerank", json={"query": "a", "documents": DOCUMENTS, **changed})
    assert answer.status_code in (400, 404, 415, 422)
    assert said in complaint(answer)


def test_none_is_served(plain):
    answer = plain.post("/search", json={"text": "a", "rerank": 3})
    assert answer.status_code == 400 and "--rerank" in complaint(answer)


def test_one_name_for_two(embedder, folder, tmp_path):
    (tmp_path / "clip").symlink_to(folder)
    with pytest.raises(Misuse, match="two of model, embedder and reranker are called 'clip'"):
        opened(Settings(), embedder=str(embedder), rerank=str(tmp_path / "clip"))
