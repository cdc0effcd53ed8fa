"""Data sets by name or path, and what is said when there is none."""

import json
from dataclasses import replace

import pytest

from chiasm.data.example import Dataset
from chiasm.data.registry import load, register, source, sources
from chiasm.errors import ChiasmError, Misuse


@pytest.mark.parametrize("name", ["easy-vqu", "easyvqa", "easy_vqa"])
def test_an_unknown_name_suggests_the_nearest(name):
    with pytest.raises(Misuse, match="did you mean easy-vqa") as caught:
        load(name)
    assert repr(name) in str(caught.value)


def test_a_name_like_nothing_lists_what_exists():
    with pytest.raises(Misuse, match="did you mean charts, clip-art, easy-vqa, easy-vqa-captions"):
        load("zzzz")


def test_an_unknown_split():
    with pytest.raises(Misuse, match="splits train, test, not 'dev'"):
        load("easy-vqa", "dev")


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="'easy-vqa' is registered twice"):
        register(replace(source("easy-vqa"), licence="another"))
    assert sources()["easy-vqa"].licence == "MIT"


def test_a_path(tmp_path):
    path = tmp_path / "mine.jsonl"
    record = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    path.write_text(json.dumps(record) + "\n")
    data = load(str(path))
    assert isinstance(data, Dataset)
    assert list(data.texts()) == ["q", "a"]
    assert data[:1] == data.examples
    with pytest.raises(Misuse, match="one split, 'train', not 'test'"):
        load(str(path), "test")
    with pytest.raises(Misuse, match="no such file"):
        load(str(tmp_path / "other.json"))
    with pytest.raises(ChiasmError, match="holds no records"):
        path.write_text("\n")
        load(str(path))
