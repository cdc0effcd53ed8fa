from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.toy import STAGE, ready, toy

from chiasm.assemble import build
from chiasm.errors import Misuse
from chiasm.fusion import GatedCrossAttention
from chiasm.model import PARTS, part_of
from chiasm.training import Budget, Trainer
from chiasm.training.freezing import count, freeze

STEM = (5, 7, 11)


def test_counts_are_exact_and_name_every_parameter_once(data: Path) -> None:
    model, _, _ = ready(data, stem=STEM)
    counted = count(model, ("connector", "head"))
    assert sum(c.trained + c.frozen for c in counted) == sum(p.numel() for p in model.parameters())
    assert {c.part: c.trained for c in counted} == {
        "encoder": 0,
        # 12 -> 22 -> 22, with biases.
        "connector": 12 * 22 + 22 + 22 * 22 + 22,
        "decoder": 0,
    }


def test_slots_of_the_decoder_are_the_fusion() -> None:
    gated = GatedCrossAttention(every=2, heads=1, head_width=4, ff_multiple=1)
    model = build(replace(toy().at("nano"), fusion=gated))
    freeze(model, ("fusion",))
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learns == {name for name, _ in model.named_parameters() if "stack.before." in name}
    slot, block = model.decoder.stack.before["0"], model.decoder.stack.layers[0]
    assert slot.training and not block.training


@pytest.mark.parametrize("part", ["encoder", "connector", "decoder"])
def test_only_the_taught_part_changes_a_single_bit(part: str, data: Path, tmp_path: Path) -> None:
    stage = replace(STAGE, trained=(part,))
    model, dataset, collator = ready(data, stage, stem=STEM)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert any("running_mean" in name for name in before)
    budget = Budget(samples=12)
    Trainer(model, dataset, collator, budget=budget, out=tmp_path / "run").run()
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    # A tied head is the decoder's embedding under a second name.
    parts = {part_of(name) for name in changed if name != "head.lm_head.weight"}
    assert parts == {part}
    assert any("running_mean" in name for name in changed) == (part == "encoder")


def test_every_trained_parameter_moves(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data, STAGE, stem=STEM)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Trainer(model, dataset, collator, budget=Budget(samples=30), out=tmp_path / "run").run()
    still = [n for n, p in model.named_parameters() if torch.equal(p, before[n])]
    assert still == []


def test_a_stage_that_teaches_nothing_is_refused(data: Path) -> None:
    model, _, _ = ready(data)
    with pytest.raises(Misuse, match=r"teaches fusion, where this model has no parameters"):
        freeze(model, ("fusion",))


def test_an_unknown_part_is_refused(data: Path) -> None:
    model, _, _ = ready(data)
    with pytest.raises(Misuse, match=r"'vision'; a model has encoder, connector"):
        count(model, (*PARTS, "vision"))
