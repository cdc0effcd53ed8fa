"""Wrong checkpoints: each gets one clear line, and nothing is half loaded."""

import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.hub.cases import CLOSE, one_line, prompt, saved, scores, text_config, tower_sizes
from transformers import AutoModelForCausalLM, CLIPVisionConfig, CLIPVisionModel

import chiasm
from chiasm.errors import ChiasmError, Misuse

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved(AutoModelForCausalLM.from_config(text_config("llama", 0)), tmp_path)
    return tmp_path


def refused(folder: Path, kind: type[ChiasmError] = ChiasmError) -> str:
    with pytest.raises(kind) as error:
        chiasm.load(str(folder))
    return one_line(error)


def edit(folder: Path, change: Any) -> None:
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def test_missing_tensor(folder: Path) -> None:
    edit(folder, lambda state: state.pop("model.layers.1.mlp.up_proj.weight"))
    said = refused(folder)
    assert "lacks model.layers.1.mlp.up_proj.weight" in said
    assert "29 tensors found, 30 expected" in said


def test_extra_tensor(folder: Path) -> None:
    edit(folder, lambda state: state.update({"model.layers.3.norm.weight": torch.ones(1)}))
    assert "no place for model.layers.3.norm.weight" in refused(folder)


def test_other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    width = config["hidden_size"]
    config["hidden_size"] = width + config["num_attention_heads"]
    (folder / "config.json").write_text(json.dumps(config))
    said = refused(folder)
    assert "model.embed_tokens.weight" in said
    assert f", {width})" in said and f", {config['hidden_size']})" in said


def test_absurd_width_reserves_no_memory(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["intermediate_size"] = 10**12
    (folder / "config.json").write_text(json.dumps(config))
    assert "1000000000000" in refused(folder)


def test_tied_copies_may_be_stored_twice_if_equal(tmp_path: Path) -> None:
    saved(AutoModelForCausalLM.from_config(text_config("llama", 1)), tmp_path)
    before = scores(chiasm.load(str(tmp_path)), input_ids=prompt(53))
    embeddings = load_file(tmp_path / WEIGHTS)["model.embed_tokens.weight"]
    edit(tmp_path, lambda state: state.update({"lm_head.weight": embeddings.clone()}))
    assert torch.equal(scores(chiasm.load(str(tmp_path)), input_ids=prompt(53)), before)
    edit(tmp_path, lambda state: state.update({"lm_head.weight": embeddings + 1}))
    assert "lm_head.weight differs" in refused(tmp_path)


def test_buffers_of_old_checkpoints_are_left_out(folder: Path) -> None:
    old = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3)}
    edit(folder, lambda state: state.update(old))
    chiasm.load(str(folder))


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\x00" * 4,
        b"not a safetensors file at all",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 20) + b'{"a": {"dtype": "F3',
    ],
)
def test_damaged_tensors(folder: Path, damage: bytes) -> None:
    (folder / WEIGHTS).write_bytes(damage)
    assert "not readable as tensors" in refused(folder)


def test_truncated_tensors(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-100])
    assert "not readable as tensors" in refused(folder)


def test_shards_are_read_as_one(folder: Path) -> None:
    before = scores(chiasm.load(str(folder)), input_ids=prompt(53))
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(state)
    shards = {"model-00001-of-00002.safetensors": names[:7]}
    shards["model-00002-of-00002.safetensors"] = names[7:]
    for file, held in shards.items():
        save_file({name: state[name] for name in held}, folder / file)
    where = {name: file for file, held in shards.items() for name in held}
    index = {"metadata": {}, "weight_map": where}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    assert torch.equal(scores(chiasm.load(str(folder)), input_ids=prompt(53)), before)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002" in refused(folder)


@pytest.mark.parametrize(
    "index", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../outside"}}']
)
def test_damaged_index(folder: Path, index: str) -> None:
    (folder / f"{WEIGHTS}.index.json").write_text(index)
    assert "index" in refused(folder)


def test_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "has no chiasm.json or config.json" in refused(folder)


def test_folder_without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "has no model.safetensors" in refused(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_type": "nonesuch"}'])
def test_damaged_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert "config.json" in refused(folder)


def test_unknown_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["LlamaForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    assert "'LlamaForSequenceClassification' is not read" in refused(folder)


def test_unknown_name(tmp_path: Path) -> None:
    assert "nonesuch" in refused(Path("nonesuch"), Misuse)


def test_pickles_need_to_be_allowed(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    before = scores(chiasm.load(str(folder)), input_ids=prompt(53))
    (folder / WEIGHTS).unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert "pickle" in refused(folder)
    opened = chiasm.load(str(folder), allow_pickle=True)
    torch.testing.assert_close(scores(opened, input_ids=prompt(53)), before, **CLOSE)


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code of a pickle was run",)


def test_code_in_an_allowed_pickle_is_not_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Code()}))
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(folder), allow_pickle=True)
    assert "pickle" in one_line(error)
    assert "was run" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["missing", "extra", "misshapen"])
def test_vision_towers_are_read_strictly(damage: str, tmp_path: Path) -> None:
    saved(CLIPVisionModel(CLIPVisionConfig(**tower_sizes())), tmp_path)
    # Early transformers 5 writes the names one level deeper.
    [name] = [n for n in load_file(tmp_path / WEIGHTS) if n.endswith("post_layernorm.weight")]
    changes: dict[str, tuple[Any, str]] = {
        "missing": (lambda state: state.pop(name), f"lacks {name}"),
        "extra": (lambda state: state.update(spare=torch.ones(1)), "no place for spare"),
        "misshapen": (lambda state: state.update({name: torch.ones(3)}), f"{name} is (3,)"),
    }
    change, said = changes[damage]
    edit(tmp_path, change)
    assert said in refused(tmp_path)


def test_importing_chiasm_is_light() -> None:
    told = "import sys, chiasm; print(chiasm.__version__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
    assert {"load", "build", "count", "system", "__version__"} <= set(dir(chiasm))
    with pytest.raises(AttributeError):
        _ = chiasm.nonesuch
