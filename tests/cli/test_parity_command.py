"""`chiasm parity`: verdict, exit code and JSON for folders and for systems."""

import json

import pytest
from safetensors.torch import load_file, save_file
from tests.cli.test_ask import one_line

from chiasm.hub.tiny import write

KEYS = ["folder", "architecture", "max_difference", "first_differing_layer"]


@pytest.fixture
def folder(tmp_path):
    write("VipLlavaForConditionalGeneration", tmp_path / "folder", 0)
    return tmp_path / "folder"


def test_a_folder_that_agrees(chiasm, folder):
    code, out, _ = chiasm("parity", folder)
    assert code == 0 and "agrees within 0.0001" in out and "layers.2" in out
    code, out, _ = chiasm("parity", folder, "--json")
    told = json.loads(out)
    assert code == 0 and list(told) == KEYS
    assert told["folder"] == str(folder)
    assert told["architecture"] == "VipLlavaForConditionalGeneration"
    assert told["first_differing_layer"] is None and 0 < told["max_difference"] < 1e-4


def test_a_tolerance_that_nothing_meets(chiasm, folder):
    code, out, _ = chiasm("parity", folder, "--tolerance", 0, "--json")
    told = json.loads(out)
    assert code == 1 and list(told) == KEYS and told["first_differing_layer"] is not None


def test_a_copy_with_one_changed_tensor(chiasm, folder, tmp_path):
    state = load_file(folder / "model.safetensors")
    state["language_model.model.layers.1.mlp.gate_proj.weight"] += 1
    (tmp_path / "bad").mkdir()
    save_file(state, tmp_path / "bad" / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "bad" / "config.json").write_text((folder / "config.json").read_text())
    code, out, _ = chiasm("parity", tmp_path / "bad", "--against", folder)
    assert code == 1 and "differs first at layers.1" in out


@pytest.mark.parametrize("slug", ["smolvlm", "pixtral"])
def test_a_system_is_compared_on_a_tiny_folder(chiasm, slug):
    code, out, _ = chiasm("parity", slug, "--seed", 3, "--json")
    told = json.loads(out)
    assert code == 0 and told["folder"] == slug and told["first_differing_layer"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["saisa"], 2, "no reference"),
        (["nonesuch"], 2, "nonesuch"),
        (["llava-1.5", "--tolerance", "-1"], 2, "--tolerance"),
        (["llava-1.5", "--against", "."], 2, "--against"),
        (["."], 1, "config.json"),
    ],
)
def test_what_cannot_be_compared(chiasm, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    left, _, err = chiasm("parity", *arguments)
    assert left == code and said in one_line(err)
