"""Text in pieces: together they are the whole answer, decoded at once and cut at the stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.decoding import Spoken

LETTERS = [*"ab .\n", "ä", "語", "\U0001f600"]


def spell(ids) -> str:
    """Bytes to text, as byte-level tokenizers do."""
    return bytes(ids).decode("utf-8", "replace")


def at_once(text: str, stop) -> str:
    """The slow reference: the answer ends as soon as a stop text is whole."""
    for length in range(len(text) + 1):
        found = [at for one in stop if (at := text[:length].find(one)) >= 0]
        if found:
            return text[: min(found)].strip()
    return text.strip()


@given(
    st.text(st.sampled_from(LETTERS), max_size=30),
    st.lists(st.text(st.sampled_from(LETTERS), min_size=1, max_size=3), max_size=3),
)
def test_the_pieces_are_the_whole(text, stop):
    spoken = Spoken(spell, tuple(stop))
    told = ""
    for token in text.encode():
        told += spoken.add(token)
        assert not any(one in told for one in stop if one == one.strip())
        if spoken.stopped:
            break
    told += spoken.rest()
    assert told == at_once(text, stop)
    assert spoken.stopped == any(one in text for one in stop)


@given(st.binary(max_size=30))
def test_bytes_that_are_no_text_are_told_as_the_decoder_writes_them(data):
    spoken = Spoken(spell)
    told = "".join([spoken.add(token) for token in data])
    assert told + spoken.rest() == spell(data).strip()


def test_what_is_certain_is_told_at_once():
    spoken = Spoken(spell, ("bc",))
    assert [spoken.add(token) for token in b"xa b!bbc"] == ["x", "a", "", "", " b!", "", "b", ""]
    assert spoken.stopped


@pytest.mark.parametrize("stop", [(), ("zz",)])
def test_nothing_said_is_nothing_told(stop):
    assert Spoken(spell, stop).rest() == ""
