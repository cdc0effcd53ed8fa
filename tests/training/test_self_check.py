from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.toy import ALIGN, STAGE, ready

from chiasm.assemble import build
from chiasm.data import Dataset
from chiasm.errors import ChiasmError, Misuse
from chiasm.fusion import GatedCrossAttention
from chiasm.model import Model
from chiasm.training import Budget, Trainer, metrics
from chiasm.training.freezing import freeze
from chiasm.training.self_check import SelfCheck


def nudge(model: Model, prefix: str) -> None:
    """The smallest change of one number of one tensor."""
    tensor = next(p for n, p in model.named_parameters() if n.startswith(prefix)).data.view(-1)
    tensor[0] = torch.nextafter(tensor[0], torch.tensor(torch.inf))


def watched(data: Path, *trained: str, stem: tuple[int, ...] = ()) -> tuple[Model, SelfCheck]:
    model, _, _ = ready(data, stem=stem)
    freeze(model, trained)
    return model, SelfCheck(model, replace(STAGE, trained=trained))


def test_one_bit_of_a_frozen_part_is_noticed_at_once(data: Path) -> None:
    model, watch = watched(data, "connector")
    nudge(model, "connector")
    nudge(model, "decoder")
    with pytest.raises(ChiasmError, match=r"decoder\.\S+ is frozen but step 1"):
        watch.after_step(images=True)


def test_what_moves_late_counts_and_what_never_moves_is_named(data: Path) -> None:
    for late in (True, False):
        model, watch = watched(data, "connector", "decoder")
        nudge(model, "decoder")
        watch.after_step(images=True)
        watch.after_step(images=True)
        assert not watch.done
        if late:
            nudge(model, "connector")
            watch.after_step(images=True)
            assert watch.done
        else:
            with pytest.raises(ChiasmError, match="teaches the connector, but 3 steps moved none"):
                watch.after_step(images=True)


def test_without_images_only_the_decoder_is_expected_to_move(data: Path) -> None:
    model, watch = watched(data, "connector", "decoder")
    nudge(model, "decoder")
    for images in (False, True, False):
        watch.after_step(images=images)
    assert watch.done


def test_moving_buffers_of_frozen_parts_are_noticed(data: Path) -> None:
    model, watch = watched(data, "connector", stem=(5, 7, 11))
    nudge(model, "connector")
    next(b for n, b in model.named_buffers() if "running_mean" in n).add_(1.0)
    with pytest.raises(ChiasmError, match="running_mean is frozen"):
        watch.after_step(images=True)


def test_a_gate_of_zero_delays_what_lies_behind_it(data: Path, tmp_path: Path) -> None:
    gated = GatedCrossAttention(every=1, heads=1, head_width=4, ff_multiple=1, gate_start=0.0)
    _, dataset, collator = ready(data)
    model = build(replace(collator.answers, fusion=gated))
    collator = replace(collator, answers=model.answers)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Trainer(model, dataset, collator, budget=Budget(samples=12), out=tmp_path).run()
    assert len(metrics.read(tmp_path)) == 5
    assert not [n for n, p in model.named_parameters() if torch.equal(p, before[n])]


def test_the_trainer_checks_its_first_step(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data, replace(STAGE, trained=("connector", "decoder")))
    # Features that do not reach the rows: the taught connector gets no gradient.
    model.media = lambda inputs, **told: None  # type: ignore[method-assign]
    trainer = Trainer(model, dataset, collator, budget=Budget(samples=11), out=tmp_path)
    with pytest.raises(ChiasmError, match="teaches the connector, but 3 steps moved none"):
        trainer.run()


def without_images(dataset: Dataset, kept: int) -> Dataset:
    """The data set with images in the first `kept` examples only."""
    examples = (replace(e, images=e.images if n < kept else ()) for n, e in enumerate(dataset))
    return replace(dataset, examples=tuple(examples))


def test_text_among_images_passes_through_a_stage_of_connectors(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data, replace(ALIGN, share=1.0, batch=1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mixed = without_images(dataset, 4)
    Trainer(model, mixed, collator, budget=Budget(samples=11), out=tmp_path).run()
    norms = [m.gradient_norm for m in metrics.read(tmp_path)]
    assert sum(norm > 0 for norm in norms) == 4
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert changed and all(name.startswith("connector") for name in changed)


def test_a_stage_of_connectors_needs_images(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data, replace(ALIGN, share=1.0))
    blind = without_images(dataset, 0)
    with pytest.raises(Misuse, match=r"none of the 11 samples of .* has an image"):
        Trainer(model, blind, collator, budget=Budget(samples=9), out=tmp_path).run()
