"""Others' evaluation code, unmodified, over embedders of ours."""

import mteb
import pytest
import torch
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from tests.embedders.few import few, shared

from chiasm.data.views import picture
from chiasm.embedders.judging import judge
from chiasm.embedders.mteb_model import MtebModel
from chiasm.embedders.sentence_like import SentenceLike, packed, unpacked
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Item, Role
from chiasm.retrieval.embedding import Distribution, Multi, Single
from chiasm.retrieval.similarity import similarity
from chiasm.spec.embedder import registered_embedders

COUNT = 11
KINDS = {Single: "align", Multi: "colembed", Distribution: "pcme"}
KNOWN = [slug for slug in KINDS.values() if slug in registered_embedders()]


class TextToPicture(AbsTaskRetrieval):
    """The pairs, as mteb holds a task."""

    metadata = TaskMetadata(
        name="ChiasmTextToPicture",
        description="captions and drawings",
        reference=None,
        dataset={"path": "none/none", "revision": "none"},
        type="Any2AnyRetrieval",
        category="t2i",
        modalities=["text", "image"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="recall_at_5",
        date=("2024-01-01", "2024-01-01"),
        domains=["Constructed"],
        task_subtypes=[],
        license="apache-2.0",
        annotations_creators="derived",
        dialect=[],
        sample_creation="created",
        bibtex_citation="",
    )

    def load_data(self, num_proc: int | None = None, **kwargs: object) -> None:
        pairs = few(COUNT)
        queries = Dataset.from_list([{"id": p.id, "text": p.texts[0]} for p in pairs])
        corpus = Dataset.from_dict(
            {"id": [p.id for p in pairs], "image": [picture(p.picture) for p in pairs]}
        )
        self.dataset = {
            "default": {
                "test": {
                    "corpus": corpus,
                    "queries": queries,
                    "relevant_docs": {p.id: {p.id: 1} for p in pairs},
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True


@pytest.mark.parametrize("slug", KNOWN)
def test_mteb_finds_what_our_judge_finds(slug):
    embedder = shared(slug)
    found = mteb.evaluate(
        MtebModel.of(embedder, f"chiasm/{slug}"),
        TextToPicture(),
        cache=None,
        overwrite_strategy="always",
        show_progress_bar=False,
        encode_kwargs={"batch_size": 4},
    )
    scores = found.task_results[0].scores["test"][0]
    recalls = {r.depth: r.share for r in judge(embedder, few(COUNT))[0].recalls}
    assert 0 < scores["recall_at_5"] <= 1
    for depth in (1, 5, 10):
        assert scores[f"recall_at_{depth}"] == pytest.approx(recalls[depth], abs=1e-5)


@pytest.mark.parametrize("slug", KNOWN)
def test_sentence_transformers_evaluator_finds_the_same(slug):
    embedder, pairs = shared(slug), few(COUNT)
    ours = MtebModel.of(embedder).model
    evaluator = InformationRetrievalEvaluator(
        queries={p.id: p.texts[0] for p in pairs},
        corpus={p.id: picture(p.picture) for p in pairs},
        relevant_docs={p.id: {p.id} for p in pairs},
        accuracy_at_k=[1, 5, 10],
        corpus_chunk_size=COUNT,
    )
    found = evaluator(ours)
    recalls = {r.depth: r.share for r in judge(embedder, pairs)[0].recalls}
    for depth in (1, 5, 10):
        assert found[f"similarity_accuracy@{depth}"] == pytest.approx(recalls[depth], abs=1e-5)


@pytest.mark.parametrize(("kind", "slug"), KINDS.items(), ids=KINDS.values())
def test_an_array_holds_the_whole_embedding(kind, slug):
    if slug not in registered_embedders():
        pytest.skip(f"{slug} is not installed")
    items = [Item(text=pair.texts[0]) for pair in few()]
    embedding = shared(slug).embed(items, role=Role.QUERY)
    assert isinstance(embedding, kind)
    same = unpacked(packed(embedding), kind)
    torch.testing.assert_close(similarity(same, same), similarity(embedding, embedding))


def test_one_item_many_items_and_misuse():
    if "align" not in registered_embedders():
        pytest.skip("align is not installed")
    ours = SentenceLike(shared("align"))
    image = picture(few()[0].picture)
    with pytest.raises(Misuse, match="encode first"):
        ours.similarity(torch.zeros(1, 2), torch.zeros(1, 2))
    one = ours.encode_query("a red circle")
    both = ours.encode([{"text": "a red circle", "image": image}, image], convert_to_tensor=True)
    assert one.ndim == 1 and both.shape == (2, len(one))
    pairs = ours.similarity_pairwise(both, both)
    torch.testing.assert_close(pairs, torch.ones(2))
    torch.testing.assert_close(pairs, ours.similarity(both, both).diagonal())
    assert ours.supports(("text", "image")) and not ours.supports("audio")
    short = ours.encode("a red circle", truncate_dim=7, normalize_embeddings=True)
    assert short.shape == (7,) and (short**2).sum() == pytest.approx(1, abs=1e-5)
    for wrong in (3, {}, {"sound": 1}):
        with pytest.raises(Misuse):
            ours.encode([wrong])
    with pytest.raises(Misuse, match="precision"):
        ours.encode("a", precision="int8")
