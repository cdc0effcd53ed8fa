"""Text and code in pieces: nothing twice, nothing lost, lines counted."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chiasm.ingestion import read
from chiasm.ingestion.pieces import SIZE, pieces
from chiasm.retrieval.unit import Kind

LINE = st.text(st.sampled_from("ab c"), max_size=61)


@given(st.lists(LINE, max_size=23), st.integers(5, 47))
def test_pieces_are_the_lines_once_and_no_longer_than_asked(lines, size):
    runs = list(pieces(lines, size))
    again = ["" for _ in lines]
    for number, part in (line for run in runs for line in run):
        again[number] += part
    assert again == lines
    numbers = [number for run in runs for number, _ in run]
    assert numbers == sorted(numbers)
    for run in runs:
        assert run and sum(len(part) + 1 for _, part in run) <= size


def test_a_piece_ends_at_an_empty_line():
    lines = [*["x" * 9] * 7, "", *["y" * 9] * 5]
    assert [len(run) for run in pieces(lines, 100)] == [8, 5]


def test_text_has_its_lines(units):
    words = "\n".join(f"line {number} " + "word " * 30 for number in range(1, 24))
    found = units("notes/my_plan-2.txt", words)
    assert len(found) == 4 and {unit.kind for unit in found} == {Kind.TEXT}
    assert found[0].title == "my plan 2" and all(len(unit.text) <= SIZE for unit in found)
    ends = [(unit.metadata["line"], unit.metadata["last_line"]) for unit in found]
    assert ends[0][0] == 1 and ends[-1][1] == 23
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(ends))
    assert len({unit.id for unit in found}) == 4


def test_code_has_its_language_and_indentation(units):
    [unit] = units("a/fit.py", "def f():\n    return 1\n")
    assert unit.kind is Kind.CODE and unit.metadata["language"] == "python"
    assert unit.text == "def f():\n    return 1" and unit.title == "fit.py"


def test_ids_are_of_path_bytes_and_position(made, plainly):
    def ids(path, data):
        return [unit.id for unit in read(made(path, data), plainly).units]

    assert ids("a.txt", "one") == ids("a.txt", "one")
    assert ids("a.txt", "one") != ids("b.txt", "one") != ids("b.txt", "two")


def test_encodings(made, plainly):
    words = "Žluťoučký kůň €"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        reading = read(made("a.txt", words.encode(encoding)), plainly)
        assert reading.units[0].text == words and not reading.notes
    reading = read(made("a.txt", "caf\xe9 \x80".encode("latin-1")), plainly)
    assert reading.units[0].text == "café €"
    assert reading.notes == ("is not UTF-8; read as Windows-1252",)


def test_one_line_of_a_million_characters(units):
    found = units("bundle.js", "x=1;" * 250_000)
    assert sum(len(unit.text) for unit in found) == 1_000_000
    assert {unit.metadata["line"] for unit in found} == {1}
