import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.retrieval.terms import LONGEST, terms


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Cats, CAT; cat's!", ["cat", "cat", "cat", "s"]),
        ("queries ponies ties", ["query", "pony", "ty"]),
        ("boxes glass status does", ["boxe", "glass", "status", "does"]),
        ("Café Ångström naïve ﬁne", ["cafe", "angstrom", "naive", "fine"]),
        ("Straße ΣΊΣΥΦΟΣ", ["strasse", "σισυφοσ"]),
        ("docs/annual_report.v2.pdf", ["doc", "annual", "report", "v2", "pdf"]),
        ("東京都", ["東京", "京都"]),
        ("私 はGPU使う", ["私", "は", "gpu", "使う"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("x" * 100, ["x" * LONGEST]),
        (" .,_- ", []),
    ],
)
def test_by_hand(text, wanted):
    assert terms(text) == wanted


@given(st.text())
def test_terms_hold_no_space(text):
    """Engines take a row's terms apart where the spaces are."""
    found = terms(text)
    assert " ".join(found).split() == found
