"""chiasm's own folders: save → load is exact for every system, and damage is named."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.hub.cases import CLOSE, llava_config, one_line, prompt, saved, scores, show
from tests.hub.test_llava_parity import pixels
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerBase

import chiasm
from chiasm.assemble import build
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.errors import ChiasmError
from chiasm.hub import KeywordModel, open_checkpoint, read_record, save
from chiasm.hub.tensors import unique_state
from chiasm.model import Model
from chiasm.spec import registered

SLUGS = sorted(registered())


@dataclass(frozen=True)
class Sourced:
    """An answer whose weights come from elsewhere."""

    weights: str | None


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return fit_tokenizer(["what color is the shape?", "is there a red circle?"], 300)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A saved model in chiasm's layout."""
    if not {"llava-1.5", "text-only"} <= set(SLUGS):
        pytest.skip("a system is not installed")
    return save(build("llava-1.5"), tmp_path / "run", slug="llava-1.5", scale="nano")


def equal(one: Model, other: Model) -> bool:
    ours, theirs = unique_state(one), unique_state(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize("slug", SLUGS)
def test_save_and_load_are_exact(
    slug: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = build(slug, "nano", seed=7)
    folder = save(
        model,
        tmp_path / "run",
        slug=slug,
        scale="nano",
        tokenizer=tokenizer,
        template=NANO,
        extra={"steps": 3},
    )
    opened = open_checkpoint(folder)
    assert equal(opened.model, model)
    assert opened.model.answers == model.answers
    assert (opened.slug, opened.scale, opened.template) == (slug, "nano", NANO)
    assert opened.tokens.image == tokenizer.convert_tokens_to_ids("<image>") == 3
    assert opened.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert dict(read_record(folder).extra) == {"steps": 3}
    assert not opened.model.training


def test_tied_weights_are_stored_once(own: Path) -> None:
    stored = load_file(own / "model.safetensors")
    assert "decoder.embed_tokens.weight" in stored and "head.lm_head.weight" not in stored
    model = chiasm.load(str(own)).model
    assert model.head.lm_head.weight is model.decoder.embed_tokens.weight


def test_the_same_folder_opens_in_transformers(tmp_path: Path) -> None:
    """An exportable system keeps one copy of its weights, in transformers' layout."""
    from transformers import LlavaForConditionalGeneration

    theirs = saved(
        LlavaForConditionalGeneration(llava_config("clip", "default", -2)), tmp_path / "theirs"
    )
    ours = chiasm.load(str(tmp_path / "theirs"))
    tokenizer = fit_tokenizer(["a"], 300)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    vocabulary = tokenizer.get_vocab()
    assert vocabulary["<image>"] == 3
    folder = save(ours.model, tmp_path / "run", slug="llava-1.5", tokenizer=tokenizer)
    assert read_record(folder).layout == "transformers"
    again = AutoModelForImageTextToText.from_pretrained(folder).eval()
    ids = show(prompt(53, rows=35), [1, 2, 0], 9)
    ids = torch.where(ids == 5, 3, ids)
    reread = chiasm.load(str(folder))
    assert isinstance(reread, KeywordModel) and reread.tokens.image == 3
    given = {"input_ids": ids, "pixel_values": pixels(3)}
    torch.testing.assert_close(scores(reread, **given), scores(again, **given), **CLOSE)
    assert equal(reread.model, ours.model)
    assert reread.model.answers == ours.model.answers
    wanted = scores(theirs, **{**given, "input_ids": torch.where(ids == 3, 5, ids)})
    torch.testing.assert_close(scores(reread, **given), wanted, **CLOSE)


def test_save_into_a_running_folder_keeps_its_files(own: Path) -> None:
    (own / "metrics.jsonl").write_text("{}\n")
    if "text-only" in SLUGS:
        save(build("text-only"), own, slug="text-only", scale="nano")
        assert (own / "metrics.jsonl").is_file()
        assert open_checkpoint(own).slug == "text-only"
    assert sorted(path.name for path in own.parent.iterdir()) == ["run"]


def test_an_interrupted_save_is_no_checkpoint(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stops it, the folder opens as the old model or not at all."""
    old = chiasm.load(str(own)).model
    real, moved = os.replace, []

    def killed(source: Any, target: Any) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        real(source, target)

    monkeypatch.setattr("chiasm.hub.folder.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(build("llava-1.5", seed=9), own, slug="llava-1.5", scale="nano")
    monkeypatch.undo()
    with pytest.raises(ChiasmError):
        chiasm.load(str(own))
    assert old is not None


def edited(folder: Path, change: Any) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def test_missing_extra_and_misshapen_tensors(own: Path) -> None:
    edited(own, lambda state: state.pop("decoder.norm.weight"))
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(own))
    assert "lacks decoder.norm.weight" in one_line(error)
    edited(own, lambda state: state.update({"decoder.norm.weight": torch.ones(129)}))
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(own))
    assert "decoder.norm.weight is (129,)" in one_line(error) and "(128,)" in one_line(error)
    good = {"decoder.norm.weight": torch.ones(128), "spare": torch.ones(2)}
    edited(own, lambda state: state.update(good))
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(own))
    assert "no place for spare" in one_line(error)


def described(folder: Path, change: Any) -> None:
    path = folder / "chiasm.json"
    entries = json.loads(path.read_text())
    change(entries)
    path.write_text(json.dumps(entries))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.update(format=2), "format 2"),
        (lambda e: e.pop("answers"), "answers"),
        (lambda e: e["answers"].update(host=3), "host"),
        (lambda e: e["answers"]["host"].update(width=256), "128"),
        (lambda e: e["answers"]["host"].update(width="wide"), "width = 'wide'"),
        (lambda e: e["answers"]["host"].update(kv_heads=3), "share"),
        (lambda e: e["answers"]["host"].update(depth=10**12), "1000000000000 layers"),
        (lambda e: e["answers"]["host"].update(kv_heads=0), "not possible"),
        (lambda e: e["answers"]["encoder"].update({"is": "os.system"}), "os.system"),
        (lambda e: e["answers"]["encoder"].update({"is": "spec.Fixed"}), "spec.Fixed"),
        (lambda e: e["answers"]["encoder"].update(nonesuch=1), "nonesuch"),
        (lambda e: e["answers"].update(encoder={"is": "spec.NoViews"}), "make no model"),
        (lambda e: e.update(layout="other"), "other"),
        (lambda e: e.update(answers={"is": "spec.NoViews"}), "no answers"),
        (lambda e: e.update(tokens=[]), "not a checkpoint"),
    ],
)
def test_a_damaged_description_is_one_line(own: Path, change: Any, said: str) -> None:
    described(own, change)
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(own))
    assert said in one_line(error)


def test_nothing_is_fetched_for_weights_that_are_stored(own: Path) -> None:
    """An encoder's own source is not read again: the folder holds all weights."""
    from chiasm.hub.folder import without_source

    model = chiasm.load(str(own)).model
    answers = replace(model.answers, encoder=Sourced(weights="org/nonesuch"))
    assert without_source(answers).encoder == Sourced(weights=None)
