"""Merged weights: both ends, what only one has, and what does not fit."""

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.training.merging import merged

lawful = pytest.mark.evidence(slug="unival", grade="lawful")
ONE = {"shared": torch.tensor([1.0, 3.0]), "same": torch.tensor([0.1]), "head": torch.ones(2)}
OTHER = {"shared": torch.tensor([2.0, -1.0]), "same": torch.tensor([0.1]), "mine": torch.zeros(3)}


@lawful
def test_both_ends_are_the_models_themselves():
    for share, end in ((1.0, ONE), (0.0, OTHER)):
        found = merged(ONE, OTHER, share)
        assert all(torch.equal(found[name], tensor) for name, tensor in end.items())


@lawful
def test_between_them_shared_tensors_mix_and_the_rest_is_kept():
    found = merged(ONE, OTHER, 0.25)
    torch.testing.assert_close(found["shared"], torch.tensor([1.75, 0.0]))
    assert torch.equal(found["same"], ONE["same"])
    assert torch.equal(found["head"], ONE["head"]) and torch.equal(found["mine"], OTHER["mine"])
    found["head"].zero_()
    assert torch.equal(ONE["head"], torch.ones(2))


@lawful
def test_what_does_not_fit_is_refused():
    with pytest.raises(Misuse, match=r"shared is \(2,\) in one model and \(3,\) in the other"):
        merged(ONE, {"shared": torch.ones(3)}, 0.5)
    with pytest.raises(Misuse, match="no tensor in common"):
        merged(ONE, {"x": torch.ones(1)}, 0.5)
    with pytest.raises(Misuse, match=r"a share of 1\.5 merges nothing"):
        merged(ONE, OTHER, 1.5)
