"""Passages: every word in exactly one, none longer than asked, each where its words stand."""

from hypothesis import given
from hypothesis import strategies as st

from chiasm.answering.citations import bare, cite
from chiasm.answering.passages import around, cut, sentences
from chiasm.answering.records import Evidence
from chiasm.retrieval.unit import Kind, Span, Unit

letters = st.text("abc .!?\n", max_size=97)


def unit(text: str = "", spans: tuple[Span, ...] = (), **more) -> Unit:
    return Unit(id="u", path="u.txt", file="", kind=Kind.TEXT, text=text, spans=spans, **more)


@given(letters, st.integers(5, 31))
def test_every_word_of_a_text_is_in_one_passage(text, size):
    passages = cut(unit(text), size)
    assert "".join("".join(one.text.split()) for one in passages) == "".join(text.split())
    assert all(0 < len(one.text) <= size for one in passages)


@given(st.lists(letters, max_size=7), st.integers(5, 31))
def test_every_word_of_the_spans_is_in_one_passage(texts, size):
    spans = tuple(
        Span(text=text, box=(0.0, place / 10, 1.0, place / 10 + 0.1), start=place, end=place + 1)
        for place, text in enumerate(texts)
    )
    passages = cut(unit(" ".join(texts), spans), size)
    assert "".join("".join(one.text.split()) for one in passages) == "".join("".join(texts).split())
    assert all(0 < len(one.text) <= size for one in passages)
    for one in passages:
        assert one.box == around([span.box for span in one.spans])
        assert one.text == " ".join(span.text for span in one.spans)
        assert (one.start, one.end) == (one.spans[0].start, one.spans[-1].end)


def test_sentences_stay_as_they_were_written():
    text = 'It holds 1.8 litres. "Stop!" she said.\n\nA new part'
    assert sentences(text) == ["It holds 1.8 litres.", '"Stop!"', "she said.", "A new part"]
    assert sentences(" \n ") == []


LINES = (
    Span(text="The pump runs at", box=(0.1, 0.1, 0.9, 0.15), start=0.0, end=2.0),
    Span(text="1450 rpm. Its seal is", box=(0.1, 0.2, 0.9, 0.25), start=2.0, end=4.0),
    Span(text="changed every 4000 hours.", box=(0.1, 0.3, 0.9, 0.35), start=4.0, end=6.0),
)
[PUMP] = cut(unit(" ".join(one.text for one in LINES), LINES, page=3))
CAT = Evidence(unit="c", path="cat.md", quote="The cat sleeps all day.")
EVIDENCE = [PUMP.evidence(), CAT]


def test_a_citation_points_at_the_lines_that_its_quote_stands_on():
    [one] = cite("The seal is changed every 4000 hours [1].", EVIDENCE)
    assert one.supported and one.quote == "Its seal is changed every 4000 hours."
    assert one.box == (0.1, 0.2, 0.9, 0.35) and (one.start, one.end) == (2.0, 6.0)
    assert (one.page, one.path, one.number) == (3, "u.txt", 1)


def test_a_quote_is_always_found_in_the_evidence():
    text = 'It sleeps [2]. It runs at 1450 rpm [1]. As it says, "all day" [2].'
    for one in cite(text, EVIDENCE):
        assert one.number is not None
        assert bare(one.quote) in bare(EVIDENCE[one.number - 1].quote)


def supported(text: str) -> list[bool]:
    return [one.supported for one in cite(text, EVIDENCE)]


def test_a_claim_that_its_evidence_does_not_hold_is_unsupported():
    assert supported("The pump runs at 1450 rpm. [1]") == [True]
    assert supported("The pump runs at 1450 rpm.") == [False]
    assert supported("The pump runs at 1450 rpm. [2]") == [False]
    assert supported("The pump runs at 1450 rpm. [7]") == [False]
    assert supported("The pump runs at 1451 rpm. [1]") == [False]
    assert supported('The manual says "pump runs at 1450" [1].') == [True]
    assert supported('"The pump runs at 1450 rpm" [1]') == [True]
    assert supported('"The pump runs quietly at 1450 rpm" [1]') == [False]
    assert supported("The president lives in Paris. [1]") == [False]
    assert supported("The pump runs at 1450 rpm [1]. The cat sleeps [1, 2]. Fish fly.") == [
        *(True, False, True, False)
    ]


def test_taking_the_evidence_away_takes_the_support_away():
    text = "The cat sleeps all day [2]."
    assert [one.supported for one in cite(text, EVIDENCE)] == [True]
    assert [one.supported for one in cite(text, EVIDENCE[:1])] == [False]


def test_a_refusal_claims_nothing():
    assert cite("Not in your files.", EVIDENCE) == ()
    assert cite("not in your files", []) == ()
