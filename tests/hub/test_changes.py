"""A checkpoint without what pretrained parts give: it opens as the whole one, or is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import chiasm
from chiasm import weights
from chiasm.adapting import adapted
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer, open_tokenizer
from chiasm.encoders import EfficientNetLite0
from chiasm.errors import ChiasmError
from chiasm.experts import LoRA
from chiasm.experts.adapters import ATTENTION
from chiasm.hub import open_checkpoint, save
from chiasm.hub.changes import save_changes
from chiasm.hub.folder import FILE
from chiasm.hub.pretrained import from_parts
from chiasm.hub.tensors import TENSORS, unique_state
from chiasm.model import Model, part_of
from chiasm.spec import Answers, registered

if "llava-1.5" not in registered():
    pytest.skip("a system is not installed", allow_module_level=True)
ADAPTERS = (LoRA(sites=ATTENTION, rank=3, alpha=6.0, dropout=0.0),)


def changed(answers: Answers, folder: Path) -> tuple[Model, Path]:
    """A model on pretrained parts, whose connector and adapters moved, and its whole folder."""
    model = from_parts(answers, seed=5)
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if part_of(name) in ("connector", "experts"):
                parameter.add_(torch.randn_like(parameter) / 50)
    tokenizer = (
        fit_tokenizer(["what color is the shape?"], 300)
        if answers.host.weights is None
        else open_tokenizer(weights.resolve(answers.host.weights))
    )
    save(model, folder, slug="llava-1.5", scale="nano", tokenizer=tokenizer, template=NANO)
    return model, folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path, Path]:
    """A model with a packaged encoder: itself, its folder, and the small one."""
    root = tmp_path_factory.mktemp("slim")
    nano = registered()["llava-1.5"].at("nano")
    answers = adapted(replace(nano, encoder=EfficientNetLite0()), decoder=ADAPTERS)
    model, whole = changed(answers, root / "whole")
    return model, whole, save_changes(open_checkpoint(whole), root / "small", {"steps": 3})


def equal(one: Model, other: Model) -> bool:
    ours, theirs = unique_state(one), unique_state(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_it_opens_as_the_whole_one(run: tuple[Model, Path, Path]) -> None:
    model, _, small = run
    opened = open_checkpoint(small)
    assert equal(opened.model, model) and opened.model.answers == model.answers
    assert opened.slug == "llava-1.5" and opened.template == NANO
    assert not opened.model.training


def test_the_encoder_is_left_out_and_what_was_drawn_is_not(run: tuple[Model, Path, Path]) -> None:
    model, whole, small = run
    kept = load_file(small / TENSORS)
    assert not any(name.startswith("encoder") for name in kept)
    drawn = {n for n, p in model.named_parameters() if n.startswith("decoder") and p.std() > 0}
    assert drawn <= kept.keys()
    size, of = ((folder / TENSORS).stat().st_size for folder in (small, whole))
    assert size < of - 10e6


def test_other_parts_are_refused(run: tuple[Model, Path, Path], tmp_path: Path) -> None:
    small = shutil.copytree(run[2], tmp_path / "small")
    said = json.loads((small / FILE).read_text())
    (small / FILE).write_text(json.dumps(said | {"rest": "0" * 64}))
    with pytest.raises(ChiasmError, match=r"taught on other parts \(00000000\) than are here"):
        chiasm.load(small)


def test_a_tensor_too_many_or_of_another_shape_is_refused(
    run: tuple[Model, Path, Path], tmp_path: Path
) -> None:
    small = shutil.copytree(run[2], tmp_path / "small")
    held = load_file(small / TENSORS)
    save_file({**held, "nowhere": torch.zeros(2)}, small / TENSORS)
    with pytest.raises(ChiasmError, match="no place for nowhere"):
        chiasm.load(small)
    name = next(iter(held))
    save_file({**held, name: torch.zeros(2, 3, 5)}, small / TENSORS)
    with pytest.raises(ChiasmError, match=name):
        chiasm.load(small)


def test_a_model_on_no_parts_is_kept_whole(tmp_path: Path) -> None:
    nano = registered()["llava-1.5"].at("nano")
    torch.manual_seed(2)
    _, folder = changed(nano, tmp_path / "whole")
    opened = open_checkpoint(folder)
    with torch.no_grad():
        for tensor in unique_state(opened.model).values():
            tensor.add_(1)
    with pytest.raises(ChiasmError, match="keep the whole checkpoint"):
        save_changes(opened, tmp_path / "small", {})


def test_adapters_on_a_pretrained_host_take_a_hundredth(tmp_path: Path) -> None:
    answers = adapted(registered()["llava-1.5"].at("smol"), decoder=ADAPTERS)
    model, whole = changed(answers, tmp_path / "whole")
    small = save_changes(open_checkpoint(whole), tmp_path / "small", {})
    assert {part_of(name) for name in load_file(small / TENSORS)} == {"connector", "experts"}
    assert (small / TENSORS).stat().st_size < (whole / TENSORS).stat().st_size / 100
    assert equal(open_checkpoint(small).model, model)
