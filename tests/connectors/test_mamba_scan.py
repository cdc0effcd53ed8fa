"""ML-Mamba's scan connector: both directions, all tokens kept, padding unread, its bill."""

import pytest
import torch
from tests.layers.mamba import CASES, disturb
from tests.operator_count import operator_macs
from torch import Tensor

from chiasm.connectors import MambaScan
from chiasm.connectors.mamba_scan import ScanConnector
from chiasm.spec.state_space import StateSpace
from chiasm.stream import Features

WIDTH, HOST_WIDTH, GRID = 13, 19, (3, 5)
ANSWER = MambaScan(mixer=CASES["two groups"], ff_width=23)
PUBLISHED = MambaScan(mixer=StateSpace(heads=80, head_width=64, state=128), ff_width=2560)


def connector(seed: int = 0) -> ScanConnector:
    torch.manual_seed(seed)
    made = ANSWER.build(WIDTH, HOST_WIDTH).eval()
    disturb(made)
    return made


def out(made: ScanConnector, tokens: Tensor) -> Tensor:
    return made.connect(Features(tokens, GRID)).embeddings


def test_flipping_the_tokens_and_swapping_the_branches_flips_the_output() -> None:
    mine, swapped = connector(), connector(1)
    state = mine.state_dict()
    other = {"ahead": "back", "back": "ahead"}
    names = {n: ".".join(other.get(part, part) for part in n.split(".")) for n in state}
    swapped.load_state_dict({n: state[names[n]] for n in state})
    tokens = torch.randn(2, 15, WIDTH)
    torch.testing.assert_close(
        out(swapped, tokens.flip(1)).flip(1), out(mine, tokens), atol=1e-6, rtol=1e-6
    )
    assert not torch.allclose(out(mine, tokens.flip(1)).flip(1), out(mine, tokens), atol=1e-2)


def test_every_token_reads_every_token() -> None:
    """What an MLP a token cannot: both directions carry, the whole picture through."""
    mine, tokens = connector(), torch.randn(1, 15, WIDTH)
    rows = torch.autograd.functional.jacobian(lambda t: out(mine, t).sum(-1), tokens)
    assert bool((rows[0, :, 0].abs().amax(-1) > 1e-6).all())


def test_there_is_no_norm_before_the_mixer() -> None:
    mine, tokens = connector(), torch.randn(2, 15, HOST_WIDTH)
    layer = mine.layers[0]
    after = tokens + layer.mixer(tokens)
    torch.testing.assert_close(layer(tokens, None), after + layer.mlp(layer.norm(after)))


def test_padding_cannot_change_the_output() -> None:
    mine, tokens = connector(), torch.randn(2, 15, WIDTH)
    valid = torch.ones(2, *GRID, dtype=torch.bool)
    valid[1, :, 3:] = False
    valid = valid.flatten(1)
    changed = torch.where(valid.unsqueeze(-1), tokens, 1e3)
    before = mine.connect(Features(tokens, GRID, valid))
    after = mine.connect(Features(changed, GRID, valid))
    assert torch.equal(after.embeddings[valid], before.embeddings[valid])
    assert before.valid is valid
    alone = mine.connect(Features(tokens[1:, valid[1]], (3, 3))).embeddings
    torch.testing.assert_close(alone[0], before.embeddings[1, valid[1]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid", [(3, 5), (1, 1), (7, 11)])
def test_count_and_work_follow_from_geometry(grid: tuple[int, int]) -> None:
    given = Features(torch.randn(1, grid[0] * grid[1], WIDTH), grid)
    assert connector().connect(given).embeddings.shape == (1, ANSWER.count(grid), HOST_WIDTH)
    counted = operator_macs(lambda: connector().connect(given))
    assert sum(w.macs for w in ANSWER.work(grid, WIDTH, HOST_WIDTH)) == counted


def test_published_size() -> None:
    """729 fused tokens of 2176 into a Mamba-2 of width 2560; both counted by hand."""
    assert PUBLISHED.count((27, 27)) == 729
    with torch.device("meta"):
        made = PUBLISHED.build(2176, 2560)
    inner, convolved = 5120, 5120 + 2 * 128
    projections = 2560 * (inner + convolved + 80) + inner * 2560
    mixer = projections + 2 * (convolved * 5 + 3 * 80) + inner
    layer = mixer + 2 * 2560 + 3 * 2560 * 2560
    mlp = 2560 * 10_240 + 10_240 + 10_240 * 2560 + 2560 + 2560 * 2560 + 2560
    assert sum(p.numel() for p in made.parameters()) == (
        2176 * 2560 + 2560 + 2 * layer + 2 * 2560 + mlp
    )
