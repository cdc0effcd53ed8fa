"""Rerankers: each against its own numbers taken directly, and only the first hits move."""

import io

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from chiasm import weights
from chiasm.errors import Misuse
from chiasm.library import reranker_of
from chiasm.library.reranking.cross_encoder import CrossEncoder
from chiasm.library.reranking.judge import Judge
from chiasm.library.reranking.listwise import Listwise
from chiasm.library.reranking.pointwise import NO, YES, Pointwise, _question
from chiasm.library.searching import search
from chiasm.retrieval.embedder import Item
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.unit import Hit, Kind, Unit

TEXTS = ("Paris is in France", "Cats sleep", "Rome is in Italy", "Dogs bark", "Blue", "Red", "Tea")
QUERY = Query(parts=(Part(item=Item(text="Where is Paris?")),))


def picture(colour):
    into = io.BytesIO()
    Image.new("RGB", (48, 48), colour).save(into, "PNG")
    return into.getvalue()


@pytest.fixture(scope="module")
def hits():
    units = [
        Unit(id=text, path=f"{text}.txt", file=text, kind=Kind.TEXT, text=text) for text in TEXTS
    ]
    return [Hit(unit=one, score=1 / (at + 1), stage="fused") for at, one in enumerate(units)]


@pytest.fixture(scope="module")
def judge():
    return Judge.open("smollm2-135m")


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A small one with fresh weights and MiniLM's tokenizer."""
    folder = tmp_path_factory.mktemp("cross")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=64, num_labels=1, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights.path("minilm-l6")).save_pretrained(folder)
    return folder


def texts(found):
    return [hit.unit.text for hit in found]


def test_a_cross_encoder_orders_by_its_own_scores(cross_encoder, hits):
    ranker = reranker_of(str(cross_encoder))
    assert isinstance(ranker, CrossEncoder)
    found = ranker.rerank(QUERY, hits)
    tokenizer = AutoTokenizer.from_pretrained(cross_encoder)
    model = BertForSequenceClassification.from_pretrained(cross_encoder).eval()
    wanted = {}
    with torch.inference_mode():
        for text in TEXTS:
            given = tokenizer(QUERY.words, text, return_tensors="pt")
            wanted[text] = float(model(**given).logits[0, 0].sigmoid())
    assert {hit.unit.text: hit.score for hit in found} == pytest.approx(wanted, abs=1e-5)
    assert texts(found) == sorted(TEXTS, key=lambda text: -wanted[text]) != list(TEXTS)
    assert {hit.stage for hit in found} == {"cross-encoder"}
    with pytest.raises(Misuse, match="one hit at a time"):
        reranker_of(str(cross_encoder), listwise=True)


def test_pointwise_is_yes_against_no(judge, hits):
    """As transformers' own model says it, in the words of the folder's own chat template."""
    folder = judge.asker.checkpoint.folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for hit in hits[:2]:
        said = [{"role": "user", "content": _question(QUERY.words, hit)}]
        ids = tokenizer.apply_chat_template(
            said, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )["input_ids"]
        with torch.inference_mode():
            chances = model(ids).logits[0, -1].float().softmax(-1)
        yes, no = (
            sum(float(chances[one]) for one in {tokenizer(way)["input_ids"][0] for way in ways})
            for ways in (YES, NO)
        )
        found = judge.chances(_question(QUERY.words, hit), [hit.unit], (YES, NO))
        assert float(found[0]) == pytest.approx(yes / (yes + no), abs=1e-4)
        assert float(found.sum()) == pytest.approx(1.0)


def test_weight_0_keeps_the_order_and_the_weight_counts(judge, hits):
    kept = Pointwise(judge=judge, weight=0.0).rerank(QUERY, hits[:3])
    assert texts(kept) == list(TEXTS[:3]) and [hit.score for hit in kept] == [1, 1 / 2, 1 / 3]
    heavy = Pointwise(judge=judge, weight=100.0).rerank(QUERY, hits[:3])
    alone = {hit.unit.text: hit.scores["pointwise"] for hit in heavy}
    assert texts(heavy) == sorted(alone, key=lambda text: -alone[text])
    assert heavy[0].score == pytest.approx(
        {hit.unit.text: hit.score for hit in hits}[heavy[0].unit.text]
        + 100 * alone[heavy[0].unit.text]
    )


class Favourite:
    """A judge that likes one text best, then the first ones."""

    def __init__(self, text):
        self.text, self.asked = text, []

    def chances(self, question, units, answers):
        self.asked.append([unit.text for unit in units])
        likes = [10.0 if unit.text == self.text else -float(at) for at, unit in enumerate(units)]
        return torch.tensor(likes).softmax(0)


@pytest.mark.parametrize("text", TEXTS)
def test_listwise_brings_the_best_to_the_front_from_anywhere(hits, text):
    judge = Favourite(text)
    found = Listwise(judge=judge).rerank(QUERY, hits)
    assert texts(found) == [text, *(one for one in TEXTS if one != text)]
    assert [len(some) for some in judge.asked] == [5, 5] and set(texts(found)) == set(TEXTS)
    assert [hit.score for hit in found] == [1 / place for place in range(1, 8)]


def test_listwise_numbers_the_candidates(judge, hits):
    found = Listwise(judge=judge).rerank(QUERY, hits[:3])
    assert sorted(texts(found)) == sorted(TEXTS[:3])


def test_only_the_first_hits_are_reranked(vectors, hits):
    class Backwards:
        def rerank(self, query, hits):
            return list(reversed(hits))

    store = Listed()
    store.put(vectors.rows([hit.unit for hit in hits]))
    plain = search(store, vectors, QUERY, None, 0)
    turned = search(store, vectors, QUERY, Backwards(), 3)
    assert texts(turned) == [*texts(plain)[2::-1], *texts(plain)[3:]]


def test_a_model_that_looks_is_shown_the_pictures(checkpoint):
    judge = Judge.open(checkpoint)
    assert judge.looks
    units = [
        Unit(id=c, path=c, file=c, kind=Kind.IMAGE, picture=picture(c)) for c in ("red", "blue")
    ]
    red, blue = (judge.chances("Is it red?", [one], (("red",), ("blue",))) for one in units)
    assert not torch.allclose(red, blue, atol=1e-6)


def test_words_are_needed(hits, judge):
    query = Query(parts=(Part(item=Item(image=Image.new("RGB", (32, 32)))),))
    with pytest.raises(Misuse, match="add words"):
        Pointwise(judge=judge).rerank(query, hits)
