"""The card of 224 upop: search of masks, spec without the channels that they close, its weights."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, system_or_skip
from tests.tiny import Picture, batch, close, cut, fresh, said, tiny
from torch import nn

from chiasm.assemble import build
from chiasm.backbone import GrowingCache, LockStep
from chiasm.cost import count, sample_inputs
from chiasm.errors import Misuse
from chiasm.fusion import InSequence
from chiasm.layers import Kind, Vectors
from chiasm.layers import cut as cut_channels
from chiasm.pruning import HOST, HOST_READS, TOWER, TOWER_READS, narrowed, places, sliced
from chiasm.spec import Answers, System
from chiasm.stream import Inputs, Role
from chiasm.training.unified_search import (
    Masks,
    UnifiedPruning,
    share_at,
    shrinking,
    unified_search,
)

SLUG = "upop"
SYSTEM: System = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


def taught(answers: Answers, seed: int) -> Inputs:
    sample = [said(3, seed), Picture(seed % 3 + 1, 30, 50), said(4, seed + 1)]
    return batch(answers, [(*sample, said(1, 3, Role.TAG), said(3, seed + 2, Role.ASSISTANT))])


def searched(share: float = 0.5, steps: int = 6, every: int = 2):
    """A wide model after a search, and what it keeps."""
    model = fresh(tiny(SLUG)).train()
    batches = [taught(model.answers, seed) for seed in range(steps)]
    kept = unified_search(
        model,
        batches,
        steps,
        stage=model.answers.teaching.stages[-1],
        pruning=UnifiedPruning(share=share, every=every),
    )
    return model.eval(), kept


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_searched_model_and_the_sliced_one_agree(share):
    wide, kept = searched(share)
    slim = sliced(wide, kept)
    inputs = taught(wide.answers, 7)
    close(slim(inputs), wide(inputs), 1e-5)
    fewer = sum(p.numel() for p in wide.parameters()) - sum(p.numel() for p in slim.parameters())
    assert fewer > 0
    assert "parametrizations" not in "".join(wide.state_dict())


@lawful
def test_gradients_of_what_is_left_agree():
    wide, kept = searched()
    slim, inputs = sliced(wide, kept), taught(wide.answers, 7)
    for model in (wide, slim):
        model.requires_grad_(True).zero_grad()
        model.loss(inputs).backward()
    assert wide.decoder.embed_tokens.weight.grad is not None
    assert slim.decoder.embed_tokens.weight.grad is not None
    close(slim.decoder.embed_tokens.weight.grad, wide.decoder.embed_tokens.weight.grad, 1e-5)
    for place, old in places(wide).items():
        new = places(slim)[place]
        if len(kept[place]):
            one, other = new.read[0].weight.grad, old.read[0].weight.grad
            assert one is not None and other is not None
            heads = old.read[1]
            rows = (torch.arange(heads)[:, None] * old.count + kept[place]).flatten()
            close(one, other[:, rows], 1e-5)


@lawful
def test_the_sliced_model_decodes_from_a_cache_and_is_billed_by_its_own_widths():
    wide, kept = searched()
    slim, inputs = sliced(wide, kept), taught(wide.answers, 7)
    cache, at = GrowingCache(), inputs.ids.shape[1] - 2
    with torch.no_grad():
        first = slim(cut(inputs, slice(0, at), media=True), cache=cache)
        later = slim(cut(inputs, slice(at, None), media=False), cache=cache)
        close(torch.cat([first, later], 1), slim(inputs), 1e-5)
    bill = count(slim.answers, text=11, image_size=(53, 71), dtype="fp32")
    shown = sample_inputs(slim.answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: slim(shown))
    kept_of_prompt = GrowingCache()
    slim(shown, cache=kept_of_prompt)
    assert bill.kv_bytes == kept_of_prompt.bytes
    assert bill.kv_bytes < count(wide.answers, text=11, image_size=(53, 71), dtype="fp32").kv_bytes


@lawful
def test_the_goal_is_reached_from_nearly_nothing_and_never_falls():
    goals = [share_at(step, 97, 0.5) for step in range(97)]
    assert goals[-1] == pytest.approx(0.5, abs=1e-12) and goals[0] < 0.01
    assert all(one < other for one, other in itertools.pairwise(goals))
    assert share_at(48, 98, 0.5) == pytest.approx(0.5 * math.sqrt(0.5))


@lawful
@pytest.mark.parametrize("share", [0.1, 0.5, 0.77])
def test_the_removed_weights_are_the_goal_within_one_vector(share):
    wide, kept = searched(share)
    found = places(wide)
    whole = sum(one.count * one.weight for one in found.values())
    gone = sum((one.count - len(kept[place])) * one.weight for place, one in found.items())
    largest = max(one.weight for one in found.values())
    assert share * whole - 1e-6 <= gone < share * whole + largest


@lawful
def test_heads_stay_and_their_widths_differ_by_layer():
    wide, kept = searched()
    slim = sliced(wide, kept)
    host = slim.answers.host
    assert (host.heads, host.kv_heads) == (wide.answers.host.heads, wide.answers.host.kv_heads)
    widths = [len(kept[HOST, at, Kind.ATTENTION]) for at in range(host.depth)]
    assert host.head_widths == tuple(max(1, width) for width in widths)
    assert sum(host.head_widths) < host.depth * wide.answers.host.head_width
    assert {place[0] for place in kept} == {HOST, TOWER, HOST_READS, TOWER_READS}


@lawful
def test_unified_ranking_spends_the_share_on_a_branch_that_is_not_needed():
    """Where the host never hears the tower, the tower loses more than equal shares would take."""
    model = fresh(tiny(SLUG)).train()
    decoder = model.decoder
    assert isinstance(decoder, LockStep)
    with torch.no_grad():
        for block in decoder.stack.before.values():
            for part in (block.output, block.down):
                part.weight.zero_()
        decoder.after.output.weight.zero_()
    # Only while they learn do channels show that they are of use: at rest gradients vanish.
    stage = replace(
        model.answers.teaching.stages[-1], learning_rate=1e-2, warmup=0.0, trained=("decoder",)
    )
    batches = [taught(model.answers, 1)] * 30
    kept = unified_search(
        model, batches, 30, stage=stage, pruning=UnifiedPruning(share=0.4, every=5)
    )
    lost = {}
    for side in (HOST, TOWER):
        mine = [(one, kept[place]) for place, one in places(model).items() if place[0] == side]
        whole = sum(one.count for one, _ in mine)
        lost[side] = 1 - sum(len(left) for _, left in mine) / whole
    assert lost[TOWER] > 0.4
    assert lost[TOWER] > 1.5 * lost[HOST]


def test_masks_gather_gradients_and_vectors_return():
    """Nothing zeroes the gradients; a vector that others overtake goes back to 1."""
    made = [Vectors(Kind.FEED_FORWARD, 3, ((nn.Linear(2, 3), 1),), (nn.Linear(3, 2), 1))]
    first = shrinking([torch.tensor([3.0, 1.0, 2.0])], made, 1 / 3)[0]
    second = shrinking([torch.tensor([3.0, 5.0, 2.0])], made, 1 / 3)[0]
    assert first.tolist() == [True, False, False] and second.tolist() == [False, True, False]
    model = fresh(tiny(SLUG)).train()
    masks, inputs = Masks(model, UnifiedPruning()), taught(model.answers, 1)
    seen = []
    for _ in range(2):
        (model.losses(inputs).total + masks.penalty()).backward()
        seen.append(torch.cat([m.grad for m in masks.masks.values() if m.grad is not None]).clone())
    close(seen[1], 2 * seen[0], 1e-5)
    masks.remove()


def test_a_mask_and_its_channel_are_one():
    """The mask's gradient is that of a factor on the channels, and attention shares it."""
    torch.manual_seed(3)
    old = Vectors(
        Kind.ATTENTION, 5, tuple((nn.Linear(7, 10), 2) for _ in range(3)), (nn.Linear(10, 7), 2)
    )
    old = replace(old, queries=old.made[0][0])
    new = Vectors(
        Kind.ATTENTION, 2, tuple((nn.Linear(7, 4), 2) for _ in range(3)), (nn.Linear(4, 7), 2)
    )
    cut_channels(old, new, torch.tensor([1, 4]))
    x = torch.randn(3, 7)
    wide, slim = old.made[1][0](x).unflatten(1, (2, 5)), new.made[1][0](x).unflatten(1, (2, 2))
    close(slim, wide[..., [1, 4]], 1e-6)
    wide, slim = old.made[0][0](x).unflatten(1, (2, 5)), new.made[0][0](x).unflatten(1, (2, 2))
    close(slim, wide[..., [1, 4]] * (2 / 5) ** 0.5, 1e-6)


def test_half_of_the_prunable_weights_are_gone_at_paper_scale():
    """Linear layers and biases of both streams halve; norms, words and pictures do not."""
    slim, model = SYSTEM.at("paper"), build(SYSTEM, "paper", device="meta")
    found = places(model)
    double = narrowed(slim, {place: 2 * one.count for place, one in found.items()})
    linear = sum(
        layer.weight.numel() + layer.bias.numel() for one in found.values() for layer, _ in one.made
    ) + sum(one.read[0].weight.numel() for one in found.values())
    assert count(double).parameters.total - count(slim).parameters.total == linear


@pytest.mark.parametrize(("share", "every"), [(0.0, 1), (1.0, 1), (0.5, 0)])
def test_impossible_goals_are_refused(share, every):
    with pytest.raises(Misuse):
        UnifiedPruning(share=share, every=every)


def test_a_model_whose_channels_are_tied_is_refused():
    answers = tiny(SLUG)
    host = replace(answers.host, positions="rotary", query_key_norm=True, sub_norm=True)
    with pytest.raises(Misuse, match="no channels"):
        places(fresh(replace(answers, host=host, fusion=InSequence())))
