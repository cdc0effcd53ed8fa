"""The packaged easy-VQA data are the official ones, whole."""

from collections import Counter

import pytest

from chiasm.data import easy_vqa, image_size, load, read_image
from chiasm.errors import ChiasmError

COUNTS = {"train": (4_000, 38_575, 28_407), "test": (1_000, 9_673, 7_136)}


@pytest.mark.parametrize("split", COUNTS)
def test_the_official_counts(easy_vqa_folder, split):
    data = easy_vqa.load(split, easy_vqa_folder)
    answers = Counter(turn.answer for example in data for turn in example.turns)
    images, questions, yes_no = COUNTS[split]
    assert (len(data), answers.total(), answers["yes"] + answers["no"]) == (
        images,
        questions,
        yes_no,
    )
    assert set(answers) == set(easy_vqa.answers(easy_vqa_folder))
    assert len(answers) == 13
    assert len({example.id for example in data}) == images
    assert all(example.independent and len(example.images) == 1 for example in data)
    assert all(example.images[0].is_file() for example in data)


def test_the_splits_share_no_image(easy_vqa_folder):
    train, test = (easy_vqa.load(split, easy_vqa_folder) for split in easy_vqa.SPLITS)
    assert not {e.images[0] for e in train} & {e.images[0] for e in test}


def test_by_name(easy_vqa_folder):
    data = load("easy-vqa", "test")
    assert (data.name, data.split, len(data)) == ("easy-vqa", "test", 1_000)
    first = data[0]
    assert first.id == "easy-vqa/test/0"
    assert (first.turns[0].question, first.turns[0].answer) == (
        "what is the red shape?",
        "triangle",
    )
    assert image_size(first.images[0]) == (64, 64)
    notes: list[str] = []
    assert read_image(first.images[0], notes=notes).size == (64, 64)
    assert notes == []


@pytest.mark.parametrize("text", [None, "{", "[]x", "[1]", '{"a": 1}'])
def test_a_damaged_folder_names_the_file(tmp_path, text):
    (tmp_path / "train").mkdir()
    if text is not None:
        (tmp_path / "train" / "questions.json").write_text(text)
    with pytest.raises(ChiasmError, match=r"questions\.json.*chiasm data fetch easy-vqa"):
        easy_vqa.load("train", tmp_path)
