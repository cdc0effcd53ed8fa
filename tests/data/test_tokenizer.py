"""The fitted tokenizer: deterministic, lossless, and short on the text it was fitted on."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from chiasm.data import easy_vqa
from chiasm.data.tokenizer import SPECIAL, fit_tokenizer, open_tokenizer
from chiasm.errors import ChiasmError, Misuse

TEXTS = ["What colour is the circle?", "is there a red triangle in the image?", "ça va, 中文"] * 3


@pytest.fixture(scope="module")
def small() -> PreTrainedTokenizerFast:
    return fit_tokenizer(TEXTS, 300)


@pytest.fixture(scope="module")
def fitted(easy_vqa_folder) -> PreTrainedTokenizerFast:
    return fit_tokenizer(easy_vqa.load("train", easy_vqa_folder).texts(), 512)


def ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def test_the_specials_come_first(small):
    assert small.convert_tokens_to_ids(list(SPECIAL.values())) == [0, 1, 2, 3, 4, 5]
    assert (small.pad_token_id, small.bos_token_id, small.eos_token_id) == (0, 1, 2)
    assert small.encode("<user>a<eos>", add_special_tokens=False)[::2] == [4, 2]
    assert not set(ids(small, "<user><image><eos>")) & set(range(6))


@settings(deadline=None)
@given(
    st.text() | st.sampled_from(["", " ", "  a  b ", "a .", "don 't", "<image>", "\r\n\0", "🙂"])
)
def test_any_string_survives(text):
    tokenizer = _one()
    assert tokenizer.decode(ids(tokenizer, text)) == text


def _one(made=[]) -> PreTrainedTokenizerFast:  # noqa: B006 (fitted once for all of hypothesis' examples)
    if not made:
        made.append(fit_tokenizer(TEXTS, 300))
    return made[0]


def test_the_same_texts_give_the_same_tokenizer():
    program = (
        "import hashlib; from chiasm.data.tokenizer import fit_tokenizer;"
        f"core = fit_tokenizer({TEXTS!r}, 300).backend_tokenizer;"
        "print(hashlib.sha256(core.to_str().encode()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = fit_tokenizer(iter(TEXTS), 300).backend_tokenizer.to_str()
    assert other.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_capitals_are_folded_only_if_the_texts_have_none():
    folded = fit_tokenizer(["what is it?"] * 3, 300)
    assert ids(folded, "WHAT is It?") == ids(folded, "what is it?")
    kept = fit_tokenizer(["What is it?"] * 3, 300)
    assert ids(kept, "WHAT is It?") != ids(kept, "what is it?")
    assert kept.decode(ids(kept, "WHAT is It?")) == "WHAT is It?"


def test_saved_and_opened_it_is_the_same(small, tmp_path):
    small.save_pretrained(tmp_path)
    opened = open_tokenizer(tmp_path)
    for text in (*TEXTS, "<user>x<eos>", "  two  spaces . "):
        assert opened.encode(text) == small.encode(text)
        assert opened.decode(ids(opened, text)) == text
    assert opened.image_token == "<image>"
    assert (opened.pad_token_id, opened.eos_token_id) == (0, 2)


def test_easy_vqa_words_are_one_token_each(fitted, easy_vqa_folder):
    assert len(fitted) <= 512
    test = easy_vqa.load("test", easy_vqa_folder)
    turns = [turn for example in test for turn in example.turns]
    for turn in turns:
        assert len(ids(fitted, turn.answer)) == 1
        assert len(ids(fitted, turn.question)) == len(turn.question.split()) + 1  # and the "?"
    mean = sum(len(ids(fitted, turn.question)) for turn in turns) / len(turns)
    assert mean == pytest.approx(7.15, abs=0.05)


def test_misuse(tmp_path):
    with pytest.raises(Misuse, match="vocabulary_size 261 is below 262"):
        fit_tokenizer(TEXTS, 261)
    assert len(fit_tokenizer([], 262)) == 262
    with pytest.raises(Misuse, match="no such folder"):
        open_tokenizer(tmp_path / "missing")
    with pytest.raises(ChiasmError, match="no tokenizer could be opened") as caught:
        open_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)
