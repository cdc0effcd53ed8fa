"""The real SmolLM2-135M, where its weights are in the cache: transformers' numbers and text."""

import pytest
import torch
from tests.hub.cases import CLOSE
from transformers import AutoModelForCausalLM, AutoTokenizer

import chiasm
from chiasm import weights

ALIAS = "smollm2-135m"


@pytest.mark.slow
@pytest.mark.skipif(not weights.holds(ALIAS), reason=f"chiasm weights fetch {ALIAS}")
def test_logits_and_greedy_text_equal_transformers() -> None:
    folder = weights.path(ALIAS)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    ours = chiasm.load(ALIAS)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    given = tokenizer(["The capital of France is", "Two plus"], padding=True, return_tensors="pt")
    given = {name: given[name] for name in ("input_ids", "attention_mask")}
    assert given["attention_mask"].min() == 0
    with torch.no_grad():
        wanted, found = theirs(**given), ours(**given)
    real = given["attention_mask"].bool()
    torch.testing.assert_close(found.logits[real], wanted.logits[real], **CLOSE)
    pad = tokenizer.pad_token_id
    told = theirs.generate(**given, max_new_tokens=8, do_sample=False, pad_token_id=pad)
    made = ours.generate(**given, max_new_tokens=8, pad_token_id=pad)
    assert tokenizer.batch_decode(made) == tokenizer.batch_decode(told)
    assert "Paris" in tokenizer.batch_decode(made)[0]
