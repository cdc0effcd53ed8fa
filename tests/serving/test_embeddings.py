"""Embeddings through OpenAI's own client, reranking and scores: the embedder's own, made apart."""

import base64

import numpy as np
import pytest
import torch
from openai import BadRequestError
from tests.serving.conftest import COLOURS, QUESTION, WIDTH, complaint, png, uri

from chiasm.data.media import read_image
from chiasm.retrieval import Item, Role, SentenceModel, similarity
from chiasm.serving.embedding import BATCH, Embeds
from chiasm.serving.refusal import Refused
from chiasm.weights import resolve

TEXTS = ["a red car", "Wie schön!", QUESTION]


@pytest.fixture(scope="module")
def model(embedder):
    """Opened apart from the server."""
    return SentenceModel.open(embedder)


def unit(model, items, role=Role.DOCUMENT) -> np.ndarray:
    return model.embed(items, role=role).unit().numpy()


@pytest.mark.parametrize("how", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_texts(client, model, how):
    """By default the client asks for base64 and decodes it itself."""
    found = client.embeddings.create(model="clip", input=TEXTS, **how)
    rows = [one.embedding for one in found.data]
    if how.get("encoding_format") == "base64":
        rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in rows]
    expected = unit(model, [Item(text=text) for text in TEXTS])
    np.testing.assert_allclose(np.array(rows), expected, atol=1e-6)
    assert [one.index for one in found.data] == [0, 1, 2]
    assert found.usage.prompt_tokens == model.tokens(TEXTS) > len(TEXTS)


def test_one_text_is_a_list_of_one(client, model):
    one = client.embeddings.create(model="clip", input=TEXTS[0]).data
    np.testing.assert_allclose([one[0].embedding], unit(model, [Item(text=TEXTS[0])]), atol=1e-6)


def test_nested_widths(client, model):
    found = client.embeddings.create(model="clip", input=TEXTS, dimensions=5)
    whole = torch.from_numpy(unit(model, [Item(text=text) for text in TEXTS]))[:, :5]
    expected = torch.nn.functional.normalize(whole, dim=-1)
    np.testing.assert_allclose(np.array([one.embedding for one in found.data]), expected, atol=1e-6)
    for width in (4, WIDTH + 1):
        with pytest.raises(BadRequestError, match=f"taught at 5, {WIDTH}"):
            client.embeddings.create(model="clip", input=TEXTS, dimensions=width)


def test_vectors_that_are_not_nested_are_not_cut():
    plain = Embeds("minilm", SentenceModel.open(resolve("minilm-l6")))
    assert plain.vectors([Item(text="a")], Role.QUERY, "", 384).shape == (1, 384)
    with pytest.raises(Refused, match="384 alone"):
        plain.vectors([Item(text="a")], Role.QUERY, "", 64)


def test_many_items_are_as_few(model):
    embeds = Embeds("clip", model)
    items = [Item(text=f"a car of {number} wheels") for number in range(BATCH + 5)]
    together = embeds.vectors(items, Role.DOCUMENT, "", None)
    alone = embeds.vectors(items[-1:], Role.DOCUMENT, "", None)
    torch.testing.assert_close(together[-1:], alone, atol=1e-5, rtol=0)


def test_a_message_with_a_picture(plain, model):
    data = png((7, 200, 9))
    content = [{"type": "image_url", "image_url": {"url": uri(data)}}]
    request = {"model": "clip", "messages": [{"role": "user", "content": content}]}
    found = plain.post("/v1/embeddings", json=request).json()["data"]
    expected = unit(model, [Item(image=read_image(data))])
    np.testing.assert_allclose([found[0]["embedding"]], expected, atol=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"input": [1, 2, 3]},
        {"input": [[1, 2], [3]]},
        {"input": ""},
        {"input": ["a", " "]},
        {"input": []},
        {"input": None},
        {"input": "a", "messages": [{"role": "user", "content": "a"}]},
        {"input": "a", "dimensions": 0},
        {"input": "a", "encoding_format": "int8"},
        {"input": "a", "truncate": True},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "user", "content": []}]},
    ],
)
def test_refusals(plain, changed):
    answer = plain.post("/v1/embeddings", json={"model": "clip", **changed})
    assert answer.status_code in (400, 422)
    complaint(answer)


def test_documents_are_ranked_as_the_embedder_says(plain, model):
    documents = ["a blue shape", {"image": uri(png(COLOURS["red"]))}, {"text": "a red car"}]
    request = {"query": "red", "documents": documents, "top_n": 2, "return_documents": True}
    found = plain.post("/rerank", json=request).json()
    asked = model.embed([Item(text="red")], role=Role.QUERY)
    items = [
        Item(text="a blue shape"),
        Item(image=read_image(png(COLOURS["red"]))),
        Item(text="a red car"),
    ]
    scores = similarity(asked, model.embed(items, role=Role.DOCUMENT))[0]
    order = scores.argsort(descending=True)[:2]
    assert [one["index"] for one in found["results"]] == order.tolist()
    np.testing.assert_allclose(
        [one["relevance_score"] for one in found["results"]], scores[order], atol=1e-6
    )
    assert all(set(one["document"]) == {"text"} for one in found["results"])


def test_scores_one_to_many_and_pair_by_pair(plain, model):
    def score(first, second):
        answer = plain.post("/score", json={"text_1": first, "text_2": second})
        return answer, [one["score"] for one in answer.json().get("data", [])]

    items = [Item(text=text) for text in TEXTS]
    asked, held = (model.embed(items, role=role) for role in (Role.QUERY, Role.DOCUMENT))
    expected = similarity(asked, held)
    np.testing.assert_allclose(score(TEXTS[0], TEXTS)[1], expected[0], atol=1e-6)
    np.testing.assert_allclose(score(TEXTS, TEXTS)[1], expected.diagonal(), atol=1e-6)
    answer, _ = score(TEXTS[:2], TEXTS)
    assert answer.status_code == 400 and "equally many" in complaint(answer)


@pytest.mark.parametrize(
    "changed",
    [
        {"query": " "},
        {"documents": []},
        {"documents": ["a", {}]},
        {"documents": ["a", {"text": "b", "uri": "c"}]},
        {"documents": [{"image": "/etc/passwd"}]},
        {"top_n": 0},
        {"model": "other"},
    ],
)
def test_what_cannot_be_ranked_is_refused(plain, changed):
    answer = plain.post("/rerank", json={"query": "a", "documents": ["a", "b"], **changed})
    assert answer.status_code in (400, 404, 422)
    complaint(answer)
