"""SV-RAG: pages by late interaction; one model with two sets of deltas; its loss."""

import math

import pytest
import torch
from tests.answering.files import documents, household, tools
from tests.answering.memory import Memory, minilm, section, sentence_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from chiasm.answering.desk import Question, Tools
from chiasm.answering.pipeline import answer, pipeline, replay
from chiasm.answering.readers import Extractive
from chiasm.answering.records import Call, Found
from chiasm.answering.two_deltas import Switched, attach, using
from chiasm.errors import Misuse
from chiasm.objectives import hardest_in_batch
from chiasm.retrieval import Item, Role, maxsim, similarity
from chiasm.retrieval.maxsim import maxsim_slowly
from chiasm.retrieval.token_vectors import TokenVectors
from chiasm.retrieval.unit import Kind

builds = pytest.mark.evidence(slug="local", grade="builds")
lawful = pytest.mark.evidence(slug="local", grade="lawful")


@pytest.fixture(scope="module")
def tokens():
    return TokenVectors(sentence_model())


def pages() -> Memory:
    """Four pages of two manuals; each page says several unlike things."""
    text = [one["text"] for one in documents()]
    return Memory(
        [
            section(f"{name}.pdf", f"{text[at]} {text[at + 5]}", page=page, kind=Kind.PAGE)
            for at, (name, page) in enumerate([("b", 2), ("a", 7), ("b", 1), ("a", 3)])
        ]
    )


def run(question: str, tokens, **settings):
    used = Tools(library=pages(), embedder=minilm(), reader=Extractive(minilm()), pages=tokens)
    return answer(pipeline("local", **settings), Question(text=question), used)


@builds
def test_it_answers_from_pages_and_replays(tokens):
    made = run("What does error E14 mean?", tokens, k=2)
    assert "ignition rod" in made.answered().text
    [citation] = made.answered().citations
    assert (citation.path, citation.page) == ("b.pdf", 1) and citation.box is not None
    assert list(replay(made).lines()) == list(made.lines())


@lawful
def test_pages_are_read_in_document_order_whatever_their_rank(tokens):
    made = run("How much oil, and how many pellets?", tokens, k=3)
    read = [(one.path, one.page) for one in made.evidence()]
    assert len(read) == 3 and read == sorted(read)
    scores = [one.score for one in made.of(Found) if one.stage == "pages"]
    assert scores == sorted(scores, reverse=True)


def test_only_pages_are_evidence(tokens):
    used = tools(household())
    made = answer(pipeline("local"), Question(text="Who built the lathe?"), used)
    assert made.evidence() == [] and made.answered().text == "Not in your files."


@lawful
def test_a_score_does_not_depend_on_the_other_pages_or_on_padding(tokens):
    texts = [one["text"] for one in documents()[:7]] + ["Short."]
    question = tokens.embed([Item(text="Who built the lathe?")], role=Role.QUERY)
    together = similarity(
        question, tokens.embed([Item(text=text) for text in texts], role=Role.DOCUMENT)
    )[0]
    alone = [
        similarity(question, tokens.embed([Item(text=text)], role=Role.DOCUMENT))[0, 0]
        for text in texts
    ]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-4, rtol=0)
    documents_ = tokens.embed([Item(text=text) for text in texts[:3]], role=Role.DOCUMENT)
    torch.testing.assert_close(
        maxsim(question, documents_).double(), maxsim_slowly(question, documents_)
    )


@lawful
def test_pages_are_embedded_a_few_at_a_time(tokens):
    """Memory does not grow with the number of pages: no batch is larger than another's limit."""
    sizes: list[int] = []

    class Counting:
        def embed(self, items, *, role, instruction="", task=""):
            sizes.append(len(items))
            return tokens.embed(items, role=role)

    library = Memory(
        [section("a.pdf", f"Page number {n}", page=n, kind=Kind.PAGE) for n in range(1, 68)]
    )
    used = Tools(library=library, embedder=minilm(), reader=Extractive(minilm()), pages=Counting())
    made = answer(pipeline("local", k=2), Question(text="Which page?"), used)
    assert sizes == [1, 32, 32, 3]
    assert [call.tool for call in made.of(Call)][1] == "compare with pages"


def test_long_pages_are_read_to_their_end(tokens):
    filler = " ".join(["gravel"] * 700)
    found = tokens.embed([Item(text=f"{filler} elephant")], role=Role.DOCUMENT)
    asked = tokens.embed([Item(text="elephant")], role=Role.QUERY)
    without = tokens.embed([Item(text=filler)], role=Role.DOCUMENT)
    assert similarity(asked, found)[0, 0] > similarity(asked, without)[0, 0] + 0.2


@lawful
def test_late_interaction_finds_what_a_mean_over_the_page_loses(tokens):
    """Pages of many unlike sentences, a question about one: right more often than pooled."""
    texts = [one["text"] for one in documents()]
    mixed = [
        " ".join(texts[(at + step) % 16].split(". ")[step] for step in range(4)) + " " + texts[at]
        for at in range(16)
    ]
    asked = [(at, one["questions"][2][0]) for at, one in enumerate(documents())]
    right = {}
    for name, embedder in (("late", tokens), ("pooled", minilm())):
        queries = embedder.embed([Item(text=text) for _, text in asked], role=Role.QUERY)
        held = embedder.embed([Item(text=text) for text in mixed], role=Role.DOCUMENT)
        best = similarity(queries, held).argmax(1).tolist()
        right[name] = sum(best[n] == at for n, (at, _) in enumerate(asked))
    assert right["late"] > right["pooled"]


class Small(nn.Module):
    """A decoder of transformers' own, from embeddings to logits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=13,
            hidden_size=8,
            intermediate_size=17,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
        )
        self.model = LlamaForCausalLM(config).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=x).logits


def small() -> nn.Module:
    return Small()


def stirred(model: nn.Module) -> None:
    """Deltas as if they had been taught."""
    for module in model.modules():
        if isinstance(module, Switched):
            for delta in module.deltas.values():
                nn.init.normal_(delta.b, std=0.1)


@lawful
def test_switching_deltas_off_restores_the_base_bit_for_bit():
    model = small()
    x = torch.arange(33).view(3, 11) % 13
    base = model(x)
    weights = {name: one.clone() for name, one in model.state_dict().items()}
    # Seven matrices a layer, and the head.
    assert attach(model, rank=2) == 15
    stirred(model)
    assert torch.equal(model(x), base)
    with using(model, "retrieve"):
        one = model(x)
        with using(model, "answer"):
            other = model(x)
        assert torch.equal(model(x), one)
    assert torch.equal(model(x), base)
    assert not torch.equal(one, base) and not torch.equal(one, other)
    held = {name.replace(".base.", "."): v for name, v in model.state_dict().items()}
    assert all(torch.equal(held[name], before) for name, before in weights.items())


@lawful
def test_a_set_that_is_taught_leaves_the_base_and_the_other_set():
    model = small()
    attach(model, rank=2)
    with using(model, "retrieve"):
        model(torch.arange(6).view(2, 3)).square().mean().backward()
    for name, one in model.named_parameters():
        taught = ".retrieve." in name
        assert (one.grad is not None) == taught
        assert one.requires_grad == (".deltas." in name)


def test_deltas_are_attached_once_and_named():
    model = small()
    attach(model)
    with pytest.raises(Misuse, match="has deltas already"):
        attach(model)
    with pytest.raises(Misuse, match="no deltas are called 'sing'; there are answer, retrieve"):
        using(model, "sing").__enter__()
    with pytest.raises(Misuse, match="no linear layer"):
        attach(nn.ReLU())


@lawful
def test_the_loss_is_softplus_of_the_hardest_negative():
    scores = torch.tensor([[3.0, 1.0, 2.5], [0.0, 2.0, 4.0], [1.0, -1.0, 0.5]])
    worked = [math.log1p(math.exp(gap)) for gap in (2.5 - 3.0, 4.0 - 2.0, 1.0 - 0.5)]
    scores.requires_grad_(True)
    loss = hardest_in_batch(scores)
    assert loss.item() == pytest.approx(sum(worked) / 3)
    loss.backward()
    # Only the hardest negatives and the right ones are moved.
    assert scores.grad.ne(0).sum() == 6
    for wrong in (torch.zeros(1, 1), torch.zeros(2, 3)):
        with pytest.raises(Misuse, match="give as many of each"):
            hardest_in_batch(wrong)
