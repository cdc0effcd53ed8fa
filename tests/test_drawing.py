"""Drafts of a batch: noised in their own rows only, each picture at a time of its own."""

from dataclasses import replace

import pytest
import torch

from chiasm.drawing import draft_rows, drafted
from chiasm.objectives import Direction, RectifiedFlow
from chiasm.stream import Inputs, Modality, Role, TokenTable

ROWS, CHANNELS = 3, 5


def made() -> Inputs:
    """Text, a draft, its clean copy, text, another draft; the second sample has the first only."""
    kinds = [(0, -1)] * 2 + [(1, n) for n in range(3)] + [(2, n) for n in range(3)]
    kinds += [(0, -1)] + [(1, n) for n in range(3, 6)]
    kind, held = (torch.tensor([column, column]) for column in zip(*kinds, strict=True))
    table = TokenTable.text(torch.ones(kind.shape, dtype=torch.bool))
    valid = table.valid.clone()
    valid[1, 5:] = False
    table = replace(
        table,
        modality=torch.where(kind > 0, int(Modality.LATENT), 0),
        role=torch.where(kind == 1, int(Role.DRAFT), int(Role.ASSISTANT)),
        valid=valid,
    )
    latents = torch.randn(2, 6, CHANNELS, generator=torch.Generator().manual_seed(0))
    return Inputs(
        ids=held, table=table, source=torch.full_like(held, -1), latents=latents, latent_of=held
    )


@pytest.mark.parametrize("direction", Direction)
def test_only_drafts_are_noised(direction):
    inputs, noise = made(), torch.randn(2, 6, CHANNELS)
    time = torch.tensor([[0.2, 0.9], [0.5, 0.1]])
    got = drafted(inputs, RectifiedFlow(direction=direction), ROWS, time=time, noise=noise)
    assert torch.equal(got.rows, draft_rows(inputs.table)) and int(got.rows.sum()) == 9
    for sample, row in got.rows.nonzero().tolist():
        held = int(inputs.latent_of[sample, row])
        t = time[sample, held // ROWS]
        x, e = inputs.latents[sample, held], noise[sample, held]
        value, velocity = ((1 - t) * x + t * e, e - x)
        if direction is Direction.TO_PICTURE:
            value, velocity = ((1 - t) * e + t * x, x - e)
        now = got.inputs.latents[sample, got.inputs.latent_of[sample, row]]
        torch.testing.assert_close(now, value)
        torch.testing.assert_close(got.velocity[sample, row], velocity)
        assert float(got.inputs.table.place[sample, row, 0]) == pytest.approx(float(t))
    rest = ~got.rows & (inputs.latent_of >= 0)
    assert torch.equal(got.inputs.latent_of[rest], inputs.latent_of[rest])
    assert torch.equal(got.inputs.latents[:, :6], inputs.latents)
    assert not bool(got.velocity[~got.rows].any())
    assert not bool(got.inputs.table.place[~got.rows].any())


def test_drawn_noise_differs_between_pictures_and_follows_the_seed():
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(drafted(made(), RectifiedFlow(), ROWS))
    assert torch.equal(seen[0].velocity, seen[1].velocity)
    assert not torch.equal(seen[0].velocity, seen[2].velocity)
    times = seen[0].inputs.table.place[0, :, 0]
    assert len(set(times[[2, 3, 4]].tolist())) == 1 and float(times[2]) != float(times[9])


def test_inputs_without_latents_are_refused():
    with pytest.raises(ValueError, match="hold no latents"):
        drafted(replace(made(), latents=None), RectifiedFlow(), ROWS)
