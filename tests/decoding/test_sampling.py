"""From scores to ids."""

import pytest
import torch

from chiasm.decoding import Sampling
from chiasm.errors import Misuse

LOGITS = torch.tensor([0.5, 0.2, 0.2, 0.1]).log()
DRAWS = 4000


def drawn(sampling: Sampling) -> torch.Tensor:
    generator = sampling.generator(torch.device("cpu"))
    return sampling.choose(LOGITS.expand(DRAWS, -1), generator)


def shares(sampling: Sampling) -> torch.Tensor:
    return torch.bincount(drawn(sampling), minlength=4) / DRAWS


def test_greedy_takes_the_best():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert Sampling().choose(logits, torch.Generator()).tolist() == [1, 0]


def test_sampling_follows_the_distribution():
    torch.testing.assert_close(
        shares(Sampling(temperature=1.0)), torch.tensor([0.5, 0.2, 0.2, 0.1]), atol=0.03, rtol=0
    )


def test_temperature_flattens():
    """p^(1/2), normalised."""
    expected = torch.tensor([0.5, 0.2, 0.2, 0.1]).sqrt()
    torch.testing.assert_close(
        shares(Sampling(temperature=2.0)), expected / expected.sum(), atol=0.03, rtol=0
    )


def test_the_nucleus_is_the_smallest_set_of_that_mass():
    """0.5 + 0.2 falls short of 0.75; with the next 0.2 it is reached, so 0.1 is out."""
    found = shares(Sampling(temperature=1.0, top_p=0.75))
    torch.testing.assert_close(found, torch.tensor([5, 2, 2, 0]) / 9, atol=0.03, rtol=0)
    assert found[3] == 0
    assert shares(Sampling(temperature=1.0, top_p=0.4))[0] == 1


def test_a_seed_repeats_its_draws():
    one, same, other = (drawn(Sampling(temperature=1.0, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("wrong", [dict(temperature=-0.1), dict(top_p=0.0), dict(top_p=1.1)])
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(Misuse, match=str(next(iter(wrong.values())))):
        Sampling(**wrong)
