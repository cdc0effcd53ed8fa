"""The Mamba-2 mixer against transformers' own; padding, steps, both directions, two streams."""

from dataclasses import replace

import pytest
import torch
from tests.layers.mamba import CASES, WIDTH, disturb, reference, renamed
from tests.operator_count import operator_macs
from torch import Tensor
from transformers import DynamicCache

from chiasm.layers import BidirectionalMamba2, CrossMamba2, Mamba2
from chiasm.spec.state_space import StateSpace

ROWS = 13
SIZES = CASES["two groups"]
every = pytest.mark.parametrize("case", CASES)


def mixer(case: str) -> Mamba2:
    torch.manual_seed(len(case))
    made = Mamba2(WIDTH, CASES[case]).eval()
    disturb(made)
    return made


def padded(side: str) -> Tensor:
    """Which of the 13 rows of 3 sequences are real: 13, 8 and 1 of them."""
    counts = torch.tensor([[ROWS], [8], [1]])
    valid = torch.arange(ROWS) < counts
    return valid if side == "right" else valid.flip(1)


@every
@pytest.mark.parametrize("side", ["none", "right", "left"])
def test_equals_transformers_in_values_and_gradients(case: str, side: str) -> None:
    torch.manual_seed(len(case))
    theirs, mine = reference(CASES[case]), Mamba2(WIDTH, CASES[case])
    mine.load_state_dict(renamed(theirs.state_dict()))
    hidden = torch.randn(3, ROWS, WIDTH)
    valid = None if side == "none" else padded(side)
    expected = theirs(hidden, attention_mask=valid)
    got, _ = mine(hidden, valid)
    real = torch.ones(3, ROWS, dtype=torch.bool) if valid is None else valid
    torch.testing.assert_close(got[real], expected[real], atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(got[real])
    (got[real] * weights).sum().backward()
    (expected[real] * weights).sum().backward()
    gradients = renamed({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in mine.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if CASES[c].step_limit[0] == 0])
def test_steps_equal_the_steps_of_transformers(case: str) -> None:
    """A prompt padded on the left, then one row at a time, against its cache."""
    torch.manual_seed(len(case))
    theirs, mine = reference(CASES[case]), Mamba2(WIDTH, CASES[case])
    mine.load_state_dict(renamed(theirs.state_dict()))
    hidden, valid = torch.randn(3, ROWS + 4, WIDTH), padded("left")
    cache = DynamicCache(config=theirs_config(theirs))
    with torch.no_grad():
        expected = theirs(hidden[:, :ROWS], cache_params=cache, attention_mask=valid)
        got, past = mine(hidden[:, :ROWS], valid)
        torch.testing.assert_close(got[valid], expected[valid], atol=1e-5, rtol=1e-5)
        for t in range(ROWS, ROWS + 4):
            expected = theirs(hidden[:, t : t + 1], cache_params=cache)
            got, past = mine(hidden[:, t : t + 1], None, past)
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def theirs_config(theirs):
    from transformers import Mamba2Config

    return Mamba2Config(num_hidden_layers=1, conv_kernel=theirs.conv_kernel_size)


@every
@pytest.mark.parametrize("cuts", [(12,), (1, 2, 3), (4, 11), (5, 6, 12)])
def test_pieces_with_the_state_handed_on_equal_the_whole(case: str, cuts: tuple[int, ...]) -> None:
    """Pieces of one row run the recurrence, longer ones the scan."""
    mine, hidden = mixer(case), torch.randn(3, ROWS, WIDTH)
    whole, end = mine(hidden)
    past, parts = None, []
    for start, stop in zip((0, *cuts), (*cuts, ROWS), strict=True):
        part, past = mine(hidden[:, start:stop], None, past)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(past.state, end.state, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(past.recent, end.recent)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_neither_a_row_nor_what_follows(side: str, bias: bool) -> None:
    torch.manual_seed(3)
    mine = Mamba2(WIDTH, replace(SIZES, bias=bias)).eval()
    disturb(mine)
    hidden, valid = torch.randn(3, ROWS, WIDTH), padded(side)
    noisy = torch.where(valid.unsqueeze(-1), hidden, float("nan"))
    after = torch.randn(3, 2, WIDTH)
    got, past = mine(noisy, valid)
    steps = [mine(after[:, :1], None, past)]
    steps.append(mine(after[:, 1:], None, steps[0][1]))
    for number in range(3):
        alone = torch.cat([hidden[number, valid[number]], after[number]]).unsqueeze(0)
        expected = mine(alone)[0][0]
        torch.testing.assert_close(got[number, valid[number]], expected[:-2], atol=1e-5, rtol=1e-5)
        stepped = torch.cat([step[0][number] for step in steps])
        torch.testing.assert_close(stepped, expected[-2:], atol=1e-5, rtol=1e-5)


def test_a_finished_sequence_keeps_its_state() -> None:
    """In a step, a row that is not valid changes nothing of its sequence."""
    mine, hidden = mixer("two groups"), torch.randn(3, ROWS, WIDTH)
    _, past = mine(hidden)
    _, after = mine(hidden[:, :1], torch.tensor([[True], [False], [True]]), past)
    assert torch.equal(after.state[1], past.state[1])
    assert torch.equal(after.recent[1], past.recent[1])
    assert not torch.equal(after.state[0], past.state[0])


@every
def test_the_state_is_as_large_after_a_thousand_rows_as_after_one(case: str) -> None:
    mine, sizes = mixer(case), CASES[case]
    for rows in (1, 2, 1009):
        _, past = mine(torch.randn(1, rows, WIDTH))
        assert past.state.numel() + past.recent.numel() == sizes.held


@every
@pytest.mark.parametrize("rows", [1, 3, 13, 64])
def test_work_equals_the_operator_count(case: str, rows: int) -> None:
    mine, hidden = mixer(case), torch.randn(1, rows, WIDTH)
    counted = operator_macs(lambda: mine(hidden))
    assert sum(w.macs for w in CASES[case].work("part", "mixer", rows, WIDTH)) == counted


def both(share: float = 0.5, seed: int = 0) -> BidirectionalMamba2:
    torch.manual_seed(seed)
    made = BidirectionalMamba2(WIDTH, SIZES, share=share).eval()
    disturb(made)
    return made


def test_both_directions_are_two_mixers_that_share_their_projections() -> None:
    mine, hidden = both(), torch.randn(3, ROWS, WIDTH)
    state = mine.state_dict()
    outs = []
    for branch, run in (("ahead", hidden), ("back", hidden.flip(1))):
        single = Mamba2(WIDTH, SIZES)
        own = {n.replace(f"{branch}.", "scan."): v for n, v in state.items()}
        single.load_state_dict({n: own[n] for n in single.state_dict()})
        outs.append(single(run)[0])
    expected = (outs[0] + outs[1].flip(1)) / 2
    torch.testing.assert_close(mine(hidden), expected, atol=1e-5, rtol=1e-5)
    summed = both(share=1.0)
    torch.testing.assert_close(summed(hidden), 2 * expected, atol=1e-5, rtol=1e-5)


def test_flipping_rows_and_swapping_branches_flips_the_output() -> None:
    mine, swapped = both(), both(seed=1)
    state = mine.state_dict()
    other = {"ahead": "back", "back": "ahead"}
    swapped.load_state_dict(
        {
            n: state[".".join([other.get(n.split(".")[0], n.split(".")[0]), *n.split(".")[1:]])]
            for n in state
        }
    )
    hidden = torch.randn(3, ROWS, WIDTH)
    flipped = swapped(hidden.flip(1)).flip(1)
    torch.testing.assert_close(flipped, mine(hidden), atol=0, rtol=0)
    assert not torch.allclose(mine(hidden.flip(1)).flip(1), mine(hidden), atol=1e-2)


@pytest.mark.parametrize("side", ["right", "left", "anywhere"])
def test_padding_changes_no_row_in_either_direction(side: str) -> None:
    mine, hidden = both(), torch.randn(3, ROWS, WIDTH)
    valid = torch.rand(3, ROWS) < 0.5 if side == "anywhere" else padded(side)
    got = mine(torch.where(valid.unsqueeze(-1), hidden, float("nan")), valid)
    for number in range(3):
        alone = mine(hidden[number : number + 1, valid[number]])[0]
        torch.testing.assert_close(got[number, valid[number]], alone, atol=1e-5, rtol=1e-5)


def test_every_row_reaches_every_row() -> None:
    mine = both()
    jacobian = torch.autograd.functional.jacobian(
        lambda rows: mine(rows).sum(-1), torch.randn(1, 5, WIDTH)
    )
    assert bool((jacobian[0, :, 0].abs().amax(-1) > 1e-4).all())


def cross() -> CrossMamba2:
    torch.manual_seed(0)
    made = CrossMamba2(WIDTH, 11, SIZES).eval()
    disturb(made)
    return made


def test_a_stream_that_reads_itself_is_a_mixer() -> None:
    """With one stream as reader and source, the two projections are one."""
    torch.manual_seed(0)
    mine, single = CrossMamba2(WIDTH, WIDTH, SIZES), mixer("two groups")
    state, sizes = single.state_dict(), SIZES
    gate, written, read, dt = single.in_proj.weight.split(
        [sizes.inner, sizes.inner + sizes.shared, sizes.shared, sizes.heads]
    )
    state["source_proj.weight"] = torch.cat([written, dt])
    state["reader_proj.weight"] = torch.cat([gate, read])
    mine.load_state_dict({n: state[n] for n in mine.state_dict()})
    hidden = torch.randn(3, ROWS, WIDTH)
    torch.testing.assert_close(mine(hidden, hidden)[0], single(hidden)[0], atol=1e-5, rtol=1e-5)


def test_only_the_source_is_written_into_the_state() -> None:
    mine = cross()
    reader, source = torch.randn(3, ROWS, WIDTH), torch.randn(3, ROWS, 11)
    got, past = mine(reader, source)
    _, other = mine(torch.randn_like(reader), source)
    assert torch.equal(other.state, past.state)
    changed = source.clone()
    changed[:, 4] += 1
    after, _ = mine(reader, changed)
    assert torch.equal(after[:, :4], got[:, :4])
    assert bool(((after - got)[:, 4:].abs().amax(-1) > 1e-5).all())


@pytest.mark.parametrize("border", [1, 7, 12])
def test_two_streams_in_pieces_equal_the_whole(border: int) -> None:
    mine = cross()
    reader, source = torch.randn(3, ROWS, WIDTH), torch.randn(3, ROWS, 11)
    whole, _ = mine(reader, source)
    first, past = mine(reader[:, :border], source[:, :border])
    second, _ = mine(reader[:, border:], source[:, border:], None, past)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-5, rtol=1e-5)


def test_heads_must_share_evenly() -> None:
    with pytest.raises(ValueError, match="5 heads cannot share 2 groups"):
        StateSpace(heads=5, head_width=3, state=2, groups=2)
