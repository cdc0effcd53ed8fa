from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.toy import ALIGN, STAGE, ready

from chiasm.data import Dataset
from chiasm.errors import ChiasmError, Misuse
from chiasm.model import Model
from chiasm.training import Budget, Trainer, metrics
from chiasm.training.freezing import freeze
from chiasm.training.self_check import Fingerprint, check


def nudge(model: Model, prefix: str) -> None:
    """The smallest change of one number of one tensor."""
    tensor = next(p for n, p in model.named_parameters() if n.startswith(prefix)).data.view(-1)
    tensor[0] = torch.nextafter(tensor[0], torch.tensor(torch.inf))


def test_one_bit_of_a_frozen_part_is_noticed(data: Path) -> None:
    model, _, _ = ready(data)
    freeze(model, ("connector",))
    before = Fingerprint.of(model)
    nudge(model, "connector")
    check(model, before, images=True, stage="s")
    nudge(model, "decoder")
    with pytest.raises(ChiasmError, match=r"decoder\.\S+ is frozen but the first step changed it"):
        check(model, before, images=True, stage="s")


def test_a_part_that_stands_still_is_named(data: Path) -> None:
    model, _, _ = ready(data)
    freeze(model, ("connector", "decoder"))
    before = Fingerprint.of(model)
    nudge(model, "decoder")
    with pytest.raises(ChiasmError, match="moved none of its"):
        check(model, before, images=True, stage="s")
    check(model, before, images=False, stage="s")


def test_moving_buffers_of_frozen_parts_are_noticed(data: Path) -> None:
    model, _, _ = ready(data, stem=(5, 7, 11))
    freeze(model, ("connector",))
    before = Fingerprint.of(model)
    nudge(model, "connector")
    next(b for n, b in model.named_buffers() if "running_mean" in n).add_(1.0)
    with pytest.raises(ChiasmError, match="running_mean is frozen"):
        check(model, before, images=True, stage="s")


def test_the_trainer_checks_its_first_step(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data, replace(STAGE, trained=("connector", "decoder")))
    # Features that do not reach the rows: the taught connector gets no gradient.
    model.media = lambda inputs: None  # type: ignore[method-assign]
    trainer = Trainer(model, dataset, collator, budget=Budget(samples=9), out=tmp_path)
    with pytest.raises(ChiasmError, match="teaches the connector, but the first step moved none"):
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
