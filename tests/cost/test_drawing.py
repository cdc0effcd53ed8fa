"""The cost of a step of a drawn picture."""

from dataclasses import replace

import pytest
from tests.systems.card import system_or_skip

from chiasm.cost import count
from chiasm.spec import registered


def test_groups_of_layers_divide_a_step_s_layers():
    """LaTtE-Flow at 2B: four groups of seven layers run a quarter of the whole depth's work."""
    answers = system_or_skip("latte-flow").at("paper")
    whole = replace(answers, experts=replace(answers.experts, times=1))
    one, other = count(answers).picture_step_flops, count(whole).picture_step_flops
    ends = 2 * sum(line.macs for line in answers.head.latent_work(answers.host))
    assert (other - ends) == pytest.approx(4 * (one - ends), rel=1e-6)


def test_a_step_of_two_weight_sets_costs_one():
    """BAGEL at 7B: 4096 rows, twice 6.5G weights a row, and attention."""
    answers = system_or_skip("bagel").at("paper")
    host, rows = answers.host, answers.head.latent.rows
    found = count(answers, text=64, visual=0).picture_step_flops
    layers = host.depth * (
        2 * host.width * host.heads * host.head_width
        + 2 * host.width * host.kv_heads * host.head_width
        + 3 * host.width * host.ff_width
    )
    pairs = host.depth * 2 * rows * (rows + 64) * host.heads * host.head_width
    ends = sum(line.macs for line in answers.head.latent_work(host))
    assert found == 2 * (rows * layers + pairs + ends)


def test_what_draws_nothing_has_no_step():
    plain = next(s for s in registered().values() if s.at("nano").head.latent is None)
    assert count(plain, "nano").picture_step_flops == 0
