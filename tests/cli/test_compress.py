"""`chiasm compress`: a table a budget, a record, and rows for what cannot run."""

import json
import random
import re

import pytest
import transformers
from PIL import Image
from tests.cli.test_ask import one_line
from tests.compressing import tiny_hosts as tiny
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from chiasm.data.tokenizer import fit_tokenizer


@pytest.fixture
def questions(tmp_path):
    """Five pictures, one question each."""
    records = []
    for number in range(5):
        name = f"{number}.png"
        Image.new("RGB", (40 + number, 24), (50 * number, 0, 90)).save(tmp_path / name)
        turns = [
            {"from": "human", "value": "<image>\nwhat color is the shape?"},
            {"from": "gpt", "value": "blue"},
        ]
        records.append({"id": str(number), "image": name, "conversations": turns})
    path = tmp_path / "own.json"
    path.write_text(json.dumps(records))
    return path


def run(chiasm, checkpoint, questions, tmp_path, *options):
    return chiasm(
        *("compress", checkpoint, "--data", questions, "--out", tmp_path / "out", *options)
    )


def test_every_method_is_a_row_and_the_record_says_the_same(
    chiasm, checkpoint, questions, tmp_path
):
    code, out, err = run(
        *(chiasm, checkpoint, questions, tmp_path, "--keep", "1,0.5,0.1", "--no-times"),
    )
    assert code == 0, err
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    named = {row["method"] for row in made["rows"]}
    assert {"random", "uniform", "vscan", "fastv"} <= named
    assert out.count("keep = ") == 3
    for row in made["rows"]:
        assert row["method"] in out and row["keep"] in (1, 0.5, 0.1)
        if "refused" in row:
            assert row["refused"] in err and "\n" not in row["refused"]
        else:
            assert row["tokens"] <= made["full"]["tokens"] and row["prefill_ms"] is None
            assert 0 <= row["agreement"] <= 1 and row["saves_no_time"] is None
        if row["keep"] == 1:
            assert row["agreement"] == 1 and row["tokens"] == made["full"]["tokens"] > 0
            assert row["prefill_flops"] == made["full"]["prefill_flops"]
    [fastv] = [row for row in made["rows"] if (row["method"], row["keep"]) == ("fastv", 0.1)]
    assert "keep=0.1" in fastv["refused"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 1 and "http" not in re.sub(r'"http[^"]*w3[^"]*"', "", page[:2000])
    said = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    ran = 1 + sum("refused" not in row for row in made["rows"])
    assert len(said) == 5 * ran


def test_times_are_taken_of_prefill_and_decoding(chiasm, checkpoint, questions, tmp_path):
    options = ("--methods", "uniform", "--keep", "0.5", "--repeats", 2, "--decode", 2, "--json")
    code, out, _ = run(chiasm, checkpoint, questions, tmp_path, *options)
    made = json.loads(out)
    assert code == 0 and made == json.loads((tmp_path / "out" / "report.json").read_text())
    for row in (made["full"], *made["rows"]):
        assert row["prefill_ms"] > 0 and row["decode_ms"] > 0
    random, uniform = made["rows"]
    assert random["against"] == {} and set(uniform["against"]) == {"random"}
    assert uniform["against"]["random"]["verdict"] == "zero within"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "vscam"], "vscan"),
        (["--keep", "1.5"], "keep=1.5"),
        (["--keep", "most"], "--keep most"),
        (["--limit", "1"], "at least 2"),
    ],
)
def test_what_cannot_be_meant_is_one_line(chiasm, checkpoint, questions, tmp_path, options, said):
    code, _, err = run(chiasm, checkpoint, questions, tmp_path, *options)
    assert code == 2 and said in one_line(err)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(chiasm, checkpoint, questions, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    code, _, err = run(chiasm, checkpoint, questions, tmp_path)
    assert code == 2 and "not empty" in one_line(err)


CHAT = (
    "{% for m in messages %}{{ m.role }}: {% for c in m.content %}"
    "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}\n{% endfor %}"
)


def test_a_folder_of_transformers_own(chiasm, questions, tmp_path):
    """A LLaVA as transformers saves it, with a tokenizer and its image processor."""
    tokenizer = fit_tokenizer(["what color is the shape?", "red", "blue"], 300)
    tokenizer.chat_template = CHAT
    config = tiny.CONFIGS["llava"][1](random.Random(3))
    config.text_config.vocab_size = len(tokenizer)
    config.image_token_index = config.image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    model = transformers.LlavaForConditionalGeneration(config)
    folder = tmp_path / "theirs"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = config.vision_config.image_size
    size = {"shortest_edge": side}
    CLIPImageProcessorPil(size=size, crop_size=side).save_pretrained(folder)
    options = ("--methods", "vscan,fastv", "--keep", "0.6", "--no-times", "--max-new", 2)
    code, _, err = run(chiasm, folder, questions, tmp_path, *options)
    assert code == 0, err
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    patches = (side // config.vision_config.patch_size) ** 2
    assert made["full"]["tokens"] == patches
    ran = {row["method"]: row["tokens"] for row in made["rows"] if "refused" not in row}
    assert set(ran) == {"random", "uniform", "vscan", "fastv"}
    assert all(0.5 < tokens / patches <= 0.65 for tokens in ran.values())
