"""The real packages: fetched if the cache lacks them, then loaded by those who use them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from chiasm import weights
from chiasm.weights.package import Kind
from chiasm.weights.registry import PACKAGES, SMOLLM2_135M


def test_every_alias_is_pinned_by_full_hashes() -> None:
    for alias, package in PACKAGES.items():
        assert alias == package.alias
        hashes = [package.archive_sha256, *(file.sha256 for file in package.files)]
        assert all(len(bytes.fromhex(digest)) == 32 for digest in hashes)


def test_listing_filters_by_kind() -> None:
    assert all(package.kind is Kind.DATA for package in weights.listing(Kind.DATA))
    assert "easy-vqa" in {package.alias for package in weights.listing(Kind.DATA)}
    assert len(weights.listing()) == len(PACKAGES)


@pytest.fixture(scope="module")
def smollm2() -> Path:
    return weights.resolve("smollm2-135m")


def test_smollm2_loads_and_knows_something(smollm2: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(smollm2).eval()
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    assert model.dtype == torch.float32
    assert model.num_parameters() == 134_515_008
    assert model.get_input_embeddings().weight.shape == (49_152, 576)
    assert model.lm_head.weight is model.get_input_embeddings().weight

    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**prompt, max_new_tokens=7, do_sample=False)
    said = tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert said == "The capital of France is Paris."


def test_smollm2_equals_the_reading_of_transformers(smollm2: Path) -> None:
    """transformers' own GGUF reader is the independent reference for names, layout and values."""
    reference = pytest.importorskip("transformers.modeling_gguf_pytorch_utils")
    model = AutoModelForCausalLM.from_pretrained(smollm2)
    source = smollm2.parents[1] / "packages" / SMOLLM2_135M.folder_name
    gguf = source / SMOLLM2_135M.files[0].path
    read = reference.load_gguf_checkpoint(gguf, return_tensors=True, model_to_load=model)
    ours = load_file(smollm2 / "model.safetensors")
    assert read["tensors"].keys() - {"lm_head.weight"} == ours.keys()
    assert all(torch.equal(read["tensors"][name], ours[name]) for name in ours)


def test_smollm2_tokenizer_splits_digits_first(smollm2: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    for text in ("a\n\n3", "x  7", "it's 12\n\n  4", "é 漢字 <|im_end|>"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    # Blanks before a digit are one token only if the digit was split off before the words were.
    assert tokenizer.tokenize("a\n\n3") == ["a", "ĊĊ", "3"]
    assert tokenizer.tokenize("2026") == ["2", "0", "2", "6"]
    assert tokenizer.model_max_length == 8192


def test_minilm_ranks_meaning() -> None:
    folder = weights.resolve("minilm-l6")
    modules = json.loads((folder / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = ["a cat sits on the sofa", "a kitten rests on a couch", "the stock market fell"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > 0.5 > 0.2 > vectors[0] @ vectors[2]


def test_efficientnet_lite0_has_its_shapes() -> None:
    with safe_open(
        weights.resolve("efficientnet-lite0") / "model.safetensors", framework="pt"
    ) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    assert len(shapes) == 296
    assert shapes["_conv_stem.weight"] == (32, 3, 3, 3)
    assert shapes["_conv_head.weight"] == (1280, 320, 1, 1)
    assert shapes["_fc.weight"] == (1000, 1280)


def test_easy_vqa_is_whole() -> None:
    folder = weights.fetch("easy-vqa")
    assert len((folder / "answers.txt").read_text().split()) == 13
    for split, images, questions in (("train", 4000, 38575), ("test", 1000, 9673)):
        assert len(list((folder / split / "images").glob("*.png"))) == images
        assert len(json.loads((folder / split / "questions.json").read_text())) == questions
