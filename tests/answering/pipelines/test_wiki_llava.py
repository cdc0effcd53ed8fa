"""Wiki-LLaVA: its card's checks on a small knowledge base of titled articles."""

import pytest
from tests.answering.files import documents, household, tools
from tests.answering.memory import Memory, minilm
from tests.answering.pictures import Thumbnails, picture
from tests.answering.stub_server import serving

from chiasm.answering.desk import Question, Tools
from chiasm.answering.pipeline import answer, pipeline, replay
from chiasm.answering.readers import Extractive
from chiasm.answering.readers.server import Server
from chiasm.answering.records import Call, Found
from chiasm.errors import Misuse
from chiasm.retrieval.unit import Hit, Kind, Unit

builds = pytest.mark.evidence(slug="wiki-llava", grade="builds")
lawful = pytest.mark.evidence(slug="wiki-llava", grade="lawful")
ASKED = [(one["path"], *one["questions"][0]) for one in documents()[::3]]


@pytest.fixture(scope="module")
def library():
    return household()


def asked(library, question, **settings):
    return answer(pipeline("wiki-llava", **settings), Question(text=question), tools(library))


def documents_of(made) -> list[str]:
    """The files that the first stage found, best first."""
    return [one.id.split("#")[0] for one in made.of(Found) if one.stage == "documents"]


@builds
def test_it_answers_and_replays(library):
    path, question, expected = ASKED[0]
    made = asked(library, question)
    assert expected in made.answered().text
    assert made.answered().citations[0].path == path
    assert list(replay(made).lines()) == list(made.lines())


@lawful
@pytest.mark.parametrize("k", [1, 3])
def test_no_passage_outside_the_found_documents_is_scored(library, k):
    made = asked(library, ASKED[1][1], k=k)
    kept = documents_of(made)
    assert len(kept) == k
    texts = {one["path"]: one["text"] for one in documents()}
    calls = [one.arguments for one in made.of(Call) if one.step == "passages of documents"]
    scored = [text for one in calls for text in one.get("texts", ())]
    assert scored
    assert all(any(text in texts[path] for path in kept) for text in scored)


@lawful
def test_without_documents_the_prompt_is_the_question_byte_for_byte(library):
    question = "Wie heißt das Hotel?  (twice  spaced)\n"
    with serving(lambda request: "Casa do Lago") as stub:
        reader = Server.open(stub.address, retries=0)
        made = answer(pipeline("wiki-llava", k=0), Question(text=question), tools(library, reader))
    assert stub.prompt().encode() == question.encode()
    assert {call.tool for call in made.of(Call)} == {"reader"}
    assert [one.supported for one in made.answered().citations] == [False]


@lawful
def test_recall_grows_with_k_and_passages_hit_no_more_than_documents(library):
    recalls = []
    for k in (1, 2, 5):
        hits, passages = 0, 0
        for path, question, _ in ASKED:
            made = asked(library, question, k=k)
            found = path in documents_of(made)
            hits += found
            passages += any(one.path == path for one in made.evidence())
        assert passages <= hits
        recalls.append(hits)
    assert recalls == sorted(recalls)


@lawful
def test_gold_documents_bound_the_first_stage(library):
    right, bound = 0, 0
    for path, question, expected in ASKED:
        right += expected in asked(library, question, k=1).answered().text
        gold = asked(library, question, k=1, gold=[path])
        bound += expected in gold.answered().text
        assert {one.path for one in gold.evidence()} == {path}
    assert right <= bound
    with pytest.raises(Misuse, match="gold document lost is not in the library"):
        asked(library, "Who?", gold=["lost"])


def article(number: int, title: str, text: str) -> Unit:
    return Unit(
        id=f"{title}.md#1",
        path=f"{title}.md",
        file="",
        kind=Kind.SECTION,
        title=title,
        text=text,
        picture=picture(number),
    )


class ByPixels(Memory):
    """A library whose pictures are compared with the question's, as the embedder sees them."""

    def search(self, query):
        images = [part.item.image for part in query.parts if part.item.image is not None]
        if images:
            self.asked.append(query)
            return [Hit(unit=unit, score=1.0, stage="fused") for unit in self.held[: query.k]]
        return super().search(query)


@lawful
def test_a_shown_picture_finds_its_article():
    library = ByPixels(
        [
            article(0, "Anton", "Anton was founded in 1802."),
            article(1, "Berta", "Berta was founded in 1903."),
            article(2, "Cäsar", "Cäsar was founded in 1711."),
        ]
    )
    tools = Tools(library=library, embedder=Thumbnails(), reader=Extractive(minilm()))
    for number, year in ((0, "1802"), (1, "1903"), (2, "1711")):
        question = Question(text="When was it founded?", images=(picture(number),))
        made = answer(pipeline("wiki-llava", k=1, by="picture"), question, tools)
        assert year in made.evidence()[0].quote and len(made.evidence()) == 1
        assert list(replay(made).lines()) == list(made.lines())
