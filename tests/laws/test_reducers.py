"""Laws of compression methods, over every registered one.

A method's reducers run on made-up evidence: pictures, tiles and clips of prime sizes.
"""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import WIDTH, alive, evidence, groups, host, run

from chiasm.compression.evidence import DecoderAttention, Evidence
from chiasm.compression.method import method, methods
from chiasm.compression.reducer import Adaptive
from chiasm.errors import Misuse

NAMES = tuple(methods())
HOSTS = {
    "clip": host(depth=32, blocks=24, class_token=True),
    "siglip": host(depth=28, blocks=27, class_token=False),
    "deep stack": host(depth=36, first=3, blocks=27, class_token=False),
    "tiny": host(depth=4, blocks=2, class_token=True),
}
PICTURES = ((1, 13, 11), (3, 7, 11))
CLIP = ((7, 5, 11),)

every_method = pytest.mark.parametrize("name", NAMES)
every_host = pytest.mark.parametrize("shape", HOSTS.values(), ids=HOSTS)


def reducers(name, keep, shape):
    """A method's reducers, or a skip where it says that this host cannot meet the budget."""
    try:
        return method(name, keep=keep).reducers(shape)
    except Misuse as error:
        pytest.skip(str(error))


def tokens_of(shape):
    return 1 if shape.class_token else 0


@every_method
@every_host
def test_a_budget_of_everything_changes_nothing(name, shape):
    for _, part, left in run(reducers(name, 1.0, shape), PICTURES, class_tokens=tokens_of(shape)):
        assert left.index.tolist() == list(range(part.tokens))
        assert left.hidden is None
        assert left.encoded is None


@every_method
@every_host
@pytest.mark.parametrize("keep", [0.1, 0.5])
def test_what_stays_is_some_of_the_tokens_in_their_order(name, shape, keep):
    wanted = reducers(name, keep, shape)
    sites = [one.site.layer for one in wanted]
    assert sites == sorted(sites)
    assert all(site == 0 or shape.first <= site < shape.depth for site in sites)
    assert wanted
    for reducer, part, left in run(wanted, PICTURES, class_tokens=tokens_of(shape)):
        index = left.index.tolist()
        assert index == sorted(set(index))
        assert set(index) <= set(range(part.tokens))
        # Deeper down, where the text has read them, a method may let all go.
        assert index or reducer.site.layer > 0
        assert left.hidden is None or left.encoded is None
        for values, width in ((left.hidden, WIDTH), (left.encoded, None)):
            if values is not None:
                assert len(values) == len(index)
                assert width is None or values.shape[1] == width
                assert values.isfinite().all()


@every_method
@every_host
@pytest.mark.parametrize("keep", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("items", [PICTURES, CLIP], ids=["pictures", "clip"])
def test_the_mean_share_alive_is_the_budget(name, shape, keep, items):
    wanted = reducers(name, keep, shape)
    if any(isinstance(one.budget, Adaptive) for one in wanted):
        pytest.skip("the budget follows the scores")
    whole = sum(units * rows * columns for units, rows, columns in items)
    found = alive(wanted, items, shape.depth, class_tokens=tokens_of(shape))
    given = evidence(items)
    # Every reducer rounds to the nearest number, group by group, and later ones build on it.
    rounding = sum(0.5 * len(groups(one, given)) for one in wanted) / whole
    assert abs(sum(found) / (shape.depth * whole) - keep) <= rounding + 1e-6


@every_method
def test_the_same_twice(name):
    wanted = reducers(name, 0.3, HOSTS["clip"])
    once, again = (list(run(wanted, PICTURES, seed=5)) for _ in range(2))
    for (_, _, one), (_, _, other) in zip(once, again, strict=True):
        assert torch.equal(one.index, other.index)
        if one.hidden is not None:
            assert torch.equal(one.hidden, other.hidden)
        if one.encoded is not None:
            assert torch.equal(one.encoded, other.encoded)


@every_method
def test_evidence_is_read_only(name):
    for reducer in reducers(name, 0.3, HOSTS["clip"]):
        given = evidence(PICTURES, reducer.needs)
        hidden, seen = given.hidden.clone(), {k: v.clone() for k, v in given.seen.items()}
        reducer.reduce(given)
        assert torch.equal(given.hidden, hidden)
        assert all(torch.equal(given.seen[look], value) for look, value in seen.items())


@every_method
def test_half_precision_stays_so(name):
    for reducer in reducers(name, 0.3, HOSTS["clip"]):
        given = evidence(PICTURES, reducer.needs)
        half = replace(
            given,
            hidden=given.hidden.bfloat16(),
            seen={look: value.bfloat16() for look, value in given.seen.items()},
        )
        left = reducer.reduce(half)
        for values in (left.hidden, left.encoded):
            assert values is None or values.dtype == torch.bfloat16
        assert len(left.index) == len(reducer.reduce(given).index)


@every_method
def test_gradients_reach_every_token_that_is_still_there(name):
    for reducer in reducers(name, 0.3, HOSTS["clip"]):
        given = evidence(PICTURES, reducer.needs)
        leaf = given.hidden.clone().requires_grad_()
        left = reducer.reduce(replace(given, hidden=leaf))
        if left.hidden is None:
            continue
        (gradient,) = torch.autograd.grad((left.hidden * torch.randn(WIDTH)).sum(), leaf)
        assert gradient.isfinite().all()
        assert (gradient[left.index].abs().sum(-1) > 0).all()


@every_method
def test_looks_are_values(name):
    wanted = reducers(name, 0.3, HOSTS["clip"])
    again = reducers(name, 0.3, HOSTS["clip"])
    assert [one.needs for one in wanted] == [one.needs for one in again]
    for reducer in wanted:
        assert len(set(reducer.needs)) == len(reducer.needs)
        if reducer.site.layer == 0:
            assert not any(isinstance(look, DecoderAttention) for look in reducer.needs)


@every_method
@pytest.mark.parametrize("keep", [0.0, -0.1, 1.01, float("nan")])
def test_no_share_is_refused(name, keep):
    with pytest.raises(Misuse, match=r"not in \(0, 1\]"):
        method(name, keep=keep)


@every_method
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("class_token", [True, False])
def test_tiny_hosts_work_or_are_refused_in_a_line(name, depth, blocks, class_token):
    shape = host(depth=depth, blocks=blocks, class_token=class_token)
    for keep in (0.1, 0.6):
        try:
            wanted = method(name, keep=keep).reducers(shape)
        except Misuse as error:
            assert "\n" not in str(error)
            assert sum(character.isdigit() for character in str(error)) >= 2
            continue
        for _, part, left in run(wanted, ((1, 5, 3),), class_tokens=tokens_of(shape)):
            assert len(left.index) <= part.tokens


def moved(given, device):
    """The same evidence on another device."""
    fields = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in vars(given).items()
    }
    return Evidence(**{**fields, "seen": {k: v.to(device) for k, v in given.seen.items()}})


@every_method
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_keeps_the_same_tokens(name):
    for keep in (0.1, 0.5):
        for reducer in reducers(name, keep, HOSTS["clip"]):
            part = evidence(PICTURES, reducer.needs)
            left, there = reducer.reduce(part), reducer.reduce(moved(part, "cuda"))
            assert torch.equal(there.index.cpu(), left.index)
            for ours, theirs in ((left.hidden, there.hidden), (left.encoded, there.encoded)):
                assert (ours is None) == (theirs is None)
                if ours is not None:
                    assert torch.allclose(theirs.cpu(), ours, atol=1e-4)
