"""Timestep experts: which rows run which layers, with whose weights."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import reading_of

from chiasm.experts import BLOCK, TimestepExperts, WeightsByGroup
from chiasm.experts.timestep import TimeGate
from chiasm.spec import Host
from chiasm.spec.slots import NormSite, Site
from chiasm.stream import Modality, Rows, TokenTable

LATENT = Rows.of(Modality.LATENT)
HOST = Host(vocabulary=31, width=12, depth=7, heads=2, kv_heads=1, head_width=6, ff_width=11)
COPIES = WeightsByGroup(kinds=(~LATENT, LATENT), sites=BLOCK, norms=tuple(NormSite))


def test_layers_fall_into_groups_of_neighbours():
    answer = TimestepExperts(copies=COPIES, times=3)
    assert [answer.group(layer, 7) for layer in range(7)] == [0, 0, 0, 1, 1, 2, 2]
    four = TimestepExperts(copies=COPIES, times=4)
    assert [sum(four.group(layer, 28) == k for layer in range(28)) for k in range(4)] == [7] * 4


def test_shared_layers_hold_the_host_s_weights_alone():
    weights = TimestepExperts(copies=COPIES, times=2, shared=(1, 4)).weights(HOST)
    for layer in range(7):
        made = weights.linear(layer, Site.QUERY, 12, 12, bias=False)
        assert hasattr(made, "experts") == (layer not in (1, 4))


@pytest.mark.parametrize("time", [0.1, 0.5, 0.99])
def test_a_gate_lets_text_and_its_own_interval_through(time):
    kinds = [Modality.LATENT] * 3 + [Modality.TEXT] * 2
    table = TokenTable.text(torch.ones(2, 5, dtype=torch.bool))
    place = torch.zeros(2, 5, 3)
    place[0, :3, 0], place[1, :3, 0] = time, 0.1
    table = replace(table, modality=torch.tensor([kinds, kinds]), place=place)
    reading = reading_of(table, runs=((LATENT, slice(0, 3)), (~LATENT, slice(3, 5))))
    chosen = TimeGate(0, 2)(torch.zeros(2, 5, 12), reading)
    if time < 0.5:
        assert chosen is None
        return
    assert chosen.index.tolist()[1] == [0, 1, 2, 3, 4] and chosen.weight is None
    assert chosen.valid.tolist() == [[False] * 3 + [True] * 2, [True] * 5]
    assert [run for _, run in chosen.runs] == [slice(0, 3), slice(3, 5)]
    other = TimeGate(1, 2)(torch.zeros(2, 5, 12), reading)
    assert other.valid.tolist() == [[True] * 5, [False] * 3 + [True] * 2]
