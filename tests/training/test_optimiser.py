from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.toy import STAGE, ready, toy

from chiasm.assemble import build
from chiasm.errors import ChiasmError, Misuse
from chiasm.fusion import GatedCrossAttention
from chiasm.training.freezing import freeze
from chiasm.training.optimiser import clip, optimiser, restore, set_rate, state_of


def test_only_matrices_decay() -> None:
    gated = GatedCrossAttention(every=2, heads=1, head_width=4, ff_multiple=1)
    model = build(replace(toy(stem=(5, 7, 11)).at("nano"), fusion=gated))
    freeze(model, STAGE.trained)
    adam = optimiser(model, STAGE)
    decays = {id(p): g["weight_decay"] for g in adam.param_groups for p in g["params"]}
    assert len(decays) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        kept = parameter.dim() < 2 or "embed_tokens" in name
        assert decays[id(parameter)] == (0.0 if kept else STAGE.weight_decay), name


def test_a_part_learns_at_its_own_rate(data: Path) -> None:
    stage = replace(STAGE, rates=(("decoder", 0.25),), warmup=0.0, schedule="constant")
    model, _, _ = ready(data)
    freeze(model, stage.trained)
    adam = optimiser(model, stage)
    assert set_rate(adam, stage, 0.5) == stage.learning_rate
    rates = {id(p): group["lr"] for group in adam.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        factor = 0.25 if name.startswith("decoder") else 1.0
        assert rates[id(parameter)] == stage.learning_rate * factor


def test_a_rate_for_an_unknown_part_is_refused(data: Path) -> None:
    model, _, _ = ready(data)
    with pytest.raises(Misuse, match="sets a rate for 'vision'"):
        optimiser(model, replace(STAGE, rates=(("vision", 0.1),)))


def test_clipping_bounds_the_joint_norm(data: Path) -> None:
    model, dataset, collator = ready(data)
    adam = optimiser(model, STAGE)
    model.loss(collator.batch(dataset[:3], teach=True)).backward()
    norm = clip(adam, 0.1)
    after = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
    assert norm > 0.1
    assert after == pytest.approx(0.1, rel=1e-4)


def test_saved_moments_give_the_same_next_step(data: Path) -> None:
    model, dataset, collator = ready(data)
    adam, inputs = optimiser(model, STAGE), collator.batch(dataset[:3], teach=True)

    def update() -> dict[str, torch.Tensor]:
        adam.zero_grad()
        model.loss(inputs).backward()
        adam.step()
        return {name: p.detach().clone() for name, p in model.named_parameters()}

    after_one = update()
    saved = {key: tensor.clone() for key, tensor in state_of(adam, model).items()}
    wanted = update()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(after_one[name])
    adam = optimiser(model, STAGE)
    restore(adam, model, saved)
    found = update()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_moments_of_an_unknown_parameter_are_refused(data: Path) -> None:
    model, _, _ = ready(data)
    with pytest.raises(ChiasmError, match=r"'decoder\.extra'"):
        restore(optimiser(model, STAGE), model, {"decoder.extra:step": torch.zeros(())})
