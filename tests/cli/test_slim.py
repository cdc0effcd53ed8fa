"""`chiasm slim` writes what was taught alone, and says what it cannot leave out."""

from dataclasses import replace

import pytest

from chiasm import hub
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.encoders import EfficientNetLite0
from chiasm.hub.folder import read_record
from chiasm.hub.pretrained import from_parts
from chiasm.spec import registered


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a packaged encoder."""
    systems = registered()
    if "llava-1.5" not in systems:
        pytest.skip("a system is not installed")
    answers = replace(systems["llava-1.5"].at("nano"), encoder=EfficientNetLite0())
    folder, tokenizer = tmp_path_factory.mktemp("run"), fit_tokenizer(["what is it?"], 300)
    return hub.save(from_parts(answers, seed=0), folder, tokenizer=tokenizer, extra={"steps": 7})


def test_a_small_checkpoint_opens_and_keeps_what_the_run_says(chiasm, run, tmp_path):
    code, said, err = chiasm("slim", run, "--out", tmp_path / "small")
    assert code == 0, err
    assert " MB with its tokenizer (of " in said
    assert read_record(tmp_path / "small").extra == {"steps": 7}
    hub.load(tmp_path / "small")


def test_what_is_no_run_on_parts_is_one_line(chiasm, run, tmp_path):
    code, _, err = chiasm("slim", run, "--out", run)
    assert code == 2 and "is not empty" in err and err.count("\n") == 1
    code, _, err = chiasm("slim", "smollm2-135m", "--out", tmp_path / "small")
    assert code == 2 and "names no parts" in err
    assert not (tmp_path / "small").exists()
