"""The generated blocks of the README."""

import pytest

from chiasm.catalogue import readme
from chiasm.errors import ChiasmError, Misuse

PAGE = "# x\n<!-- systems:begin -->\nold\n<!-- systems:end -->\nend\n"


def test_a_block_is_replaced_and_the_rest_kept():
    text = readme.replace_block(PAGE, "systems", "new | body\n")
    assert text == "# x\n<!-- systems:begin -->\nnew | body\n<!-- systems:end -->\nend\n"


@pytest.mark.parametrize("page", ["# x", PAGE + PAGE, "<!-- systems:end --><!-- systems:begin -->"])
def test_missing_or_doubled_markers_raise(page):
    with pytest.raises(ChiasmError, match="systems"):
        readme.replace_block(page, "systems", "")


def test_every_row_is_counted_and_the_graded_are_shown():
    counts = [line.split("|") for line in readme.grades_block().split("\n\n")[1].splitlines()[2:]]
    assert sum(int(cells[2]) for cells in counts) == 249
    block = readme.systems_block()
    assert "| `evolution-architectures` | The Evolution of" in block
    assert "| listed |" not in block


def test_bars_in_cells_are_escaped():
    assert readme.table(("a",), [("b|c",)]) == "| a |\n| --- |\n| b\\|c |"


def test_check_tells_stale_from_fresh(tmp_path):
    for page, blocks in readme.PAGES.items():
        (tmp_path / page).parent.mkdir(exist_ok=True)
        stale = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in blocks)
        (tmp_path / page).write_text(stale)
    plot = tmp_path / readme.PLOT
    assert readme.main(["--check", "--root", str(tmp_path)]) == 1
    assert (tmp_path / page).read_text() == stale and not plot.exists()
    assert readme.main(["--root", str(tmp_path)]) == 0
    assert readme.main(["--check", "--root", str(tmp_path)]) == 0
    plot.write_text(plot.read_text().replace(readme.stamp(), "<!-- another record -->"))
    assert readme.main(["--check", "--root", str(tmp_path)]) == 1
    with pytest.raises(Misuse):
        readme.main(["--root", str(tmp_path / "none")])


def test_the_difference_is_read_from_the_system_file(tmp_path, monkeypatch):
    (tmp_path / "any.py").write_text(
        "import nothing\n"
        "SYSTEM = register(System(slug='llava-1.5', card=Card(differs='keys and '\n"
        "    'values only')))\n"
        "PLAIN = System(slug='sail', card=None)\n"
    )
    monkeypatch.setattr(readme, "SYSTEM_FILES", tmp_path)
    readme.differences.cache_clear()
    try:
        assert readme.differences() == {"llava-1.5": "keys and values only"}
    finally:
        readme.differences.cache_clear()
