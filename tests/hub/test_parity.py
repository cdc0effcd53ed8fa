"""Two engines on one folder: they agree, and a changed tensor is found where it was changed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.hub.cases import one_line, saved, text_config
from transformers import AutoModelForCausalLM, LlamaModel

from chiasm.errors import ChiasmError, Misuse
from chiasm.hub.parity import Parity, Stage, compare
from chiasm.hub.tiny import MAKERS, references, write


def copied(folder: Path, to: Path, *changed: str) -> Path:
    """The folder again, with some tensors changed."""
    state = load_file(folder / "model.safetensors")
    for name in changed:
        generator = torch.Generator().manual_seed(5)
        state[name] = state[name] + 0.2 * torch.randn(state[name].shape, generator=generator)
    to.mkdir()
    save_file(state, to / "model.safetensors", metadata={"format": "pt"})
    (to / "config.json").write_text((folder / "config.json").read_text())
    return to


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", MAKERS)
def test_every_class_agrees_on_a_random_tiny_folder(name: str, seed: int, tmp_path: Path) -> None:
    write(name, tmp_path, seed)
    found = compare(tmp_path, seed=seed)
    assert found.first_differing_layer is None and found.max_difference < 1e-4
    assert found.architecture == name.split()[-1]
    assert len(found.stages) == len({stage.name for stage in found.stages})


@pytest.mark.parametrize("name", [name for name in MAKERS if "ForConditional" in name])
def test_stages_cover_tower_connector_and_layers(name: str, tmp_path: Path) -> None:
    write(name, tmp_path, 3)
    names = [stage.name for stage in compare(tmp_path).stages]
    # Ovis2's tower ends in its visual words, which have no module of their own to compare with;
    # Qwen's is transformers' own module, and connector in one.
    between = [] if name.startswith(("Ovis2", "Qwen")) else ["vision_tower", "connector"]
    # Mllama's images are read by layers; what enters is the embeddings.
    inputs = [] if name.startswith("Mllama") else ["inputs"]
    assert names[:-5] == ["embeddings", *between, *inputs]
    assert names[-5:] == ["layers.0", "layers.1", "layers.2", "norm", "logits"]


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("model.embed_tokens.weight", "embeddings"),
        ("model.layers.0.mlp.down_proj.weight", "layers.0"),
        ("model.layers.1.self_attn.q_proj.weight", "layers.1"),
        ("model.layers.2.input_layernorm.weight", "layers.2"),
        ("model.norm.weight", "norm"),
        ("lm_head.weight", "logits"),
    ],
)
def test_a_changed_tensor_is_found_at_its_layer(
    part: str, said: str, family: str, tmp_path: Path
) -> None:
    saved(AutoModelForCausalLM.from_config(text_config(family, 0)), tmp_path / "first")
    bad = copied(tmp_path / "first", tmp_path / "second", part)
    for one, other in ((bad, tmp_path / "first"), (tmp_path / "first", bad)):
        found = compare(one, against=other)
        assert found.first_differing_layer == said and found.max_difference > 1e-3
    assert compare(bad).first_differing_layer is None


@pytest.mark.parametrize(
    "name", ["LlavaForConditionalGeneration", "SmolVLMForConditionalGeneration"]
)
@pytest.mark.parametrize(
    ("part", "said"),
    [("vision", "vision_tower"), ("connector", "connector"), ("layers.1.mlp.up", "layers.1")],
)
def test_of_two_changed_tensors_the_first_is_named(
    part: str, said: str, name: str, tmp_path: Path
) -> None:
    write(name, tmp_path / "first", 0)
    held = [key for key in load_file(tmp_path / "first" / "model.safetensors") if "bias" not in key]
    parts = {"vision": "layers.1.mlp", "connector": "proj", "layers.1.mlp.up": "layers.1.mlp.up"}
    [first, *_] = [
        key
        for key in held
        if parts[part] in key
        and ("vision" in key) == (part == "vision")
        and (part != "connector" or "connector" in key or "multi_modal" in key)
    ]
    [last] = [key for key in held if key.endswith("layers.2.mlp.down_proj.weight")]
    bad = copied(tmp_path / "first", tmp_path / "second", first, last)
    assert compare(bad, against=tmp_path / "first").first_differing_layer == said


def test_a_folder_without_a_head(tmp_path: Path) -> None:
    saved(LlamaModel(text_config("llama", 0)), tmp_path)
    found = compare(tmp_path)
    assert found.stages[-1].name == "norm" and found.first_differing_layer is None


def test_other_seeds_draw_other_inputs(tmp_path: Path) -> None:
    write("LlavaForConditionalGeneration", tmp_path, 0)
    one, again, other = (compare(tmp_path, seed=seed).stages for seed in (1, 1, 2))
    assert one == again and one != other


def test_a_difference_that_is_no_number_differs() -> None:
    stages = (Stage("layers.0", 0.0), Stage("layers.1", float("nan")), Stage("logits", 1.0))
    assert Parity("f", "a", stages, 1e-4).first_differing_layer == "layers.1"


def without(folder: Path, name: str) -> None:
    (folder / name).unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: without(folder, "config.json"), "has no config.json"),
        (lambda folder: without(folder, "model.safetensors"), "has no model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a config that is read"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "not readable"),
    ],
)
def test_bad_folders_are_one_line(harm: Any, said: str, tmp_path: Path) -> None:
    write("LlavaForConditionalGeneration", tmp_path, 0)
    harm(tmp_path)
    with pytest.raises(ChiasmError) as error:
        compare(tmp_path)
    assert said in one_line(error)


def test_references_come_from_the_catalogue() -> None:
    assert references("llava-1.5") == ["LlavaForConditionalGeneration"]
    assert references("pixtral") == ["PixtralVisionModel + LlavaForConditionalGeneration"]
    for slug, said in (("saisa", "no reference"), ("macaw-llm", "reads no folder")):
        with pytest.raises(Misuse) as error:
            references(slug)
        assert said in one_line(error)
