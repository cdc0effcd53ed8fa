"""The card of 013 ml-mamba; its connector alone is tested in `tests/connectors`, its host in
`tests/backbone`, and equality with transformers' Mamba-2 in `tests/hub`.
"""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import Permuted, builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, real, said, shared_model, tiny

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.connectors import NoConnector
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.encoders import NoEncoder
from chiasm.fusion import NoFusion
from chiasm.spec import NoViews, geometry

SLUG = "ml-mamba"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = (said(2, 1), Picture(1, 30, 50), said(3, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_flipping_the_tokens_and_swapping_the_branches_flips_what_enters():
    model, swapped = fresh(tiny(SLUG)), fresh(tiny(SLUG))
    other = {"ahead": "back", "back": "ahead"}
    state = model.state_dict()
    names = {n: ".".join(other.get(part, part) for part in n.split(".")) for n in state}
    swapped.load_state_dict({n: state[names[n]] for n in state})
    swapped.encoder = Permuted(swapped.encoder, torch.arange(14, -1, -1))
    inputs = batch(tiny(SLUG), [SAMPLE])
    got, expected = (m.stream(inputs).embeddings[:, 2:-3] for m in (swapped, model))
    torch.testing.assert_close(got.flip(1), expected, atol=1e-6, rtol=1e-6)


@lawful
def test_the_connector_keeps_729_tokens():
    found = geometry(SYSTEM.at("paper"), (480, 640))
    assert found.tokens_per_view == (729,) and found.placeholders == 729
    assert SYSTEM.at("paper").encoder.width == 2176


@lawful
def test_the_state_is_as_large_after_a_long_prompt_as_after_a_short_one():
    model, sizes = shared_model(SLUG), set()
    for rows in (1, 7, 101):
        cache = GrowingCache()
        model(batch(tiny(SLUG), [(*SAMPLE, said(rows, 3))], teach=False), cache=cache)
        sizes.add(cache.bytes)
    host = tiny(SLUG).host
    assert sizes == {4 * host.depth * host.mixer.held}
    bills = {cost(SYSTEM, text=text).kv_bytes for text in (1, 64, 4096)}
    assert bills == {64 * (4 * 5120 * 128 + 2 * 3 * 5376)}


@lawful
def test_logits_of_text_change_when_visual_tokens_are_permuted():
    model, shuffled = fresh(tiny(SLUG)), fresh(tiny(SLUG))
    shuffled.encoder = Permuted(shuffled.encoder, torch.randperm(15))
    inputs = batch(tiny(SLUG), [SAMPLE])
    one, other = model(inputs)[:, -3:], shuffled(inputs)[:, -3:]
    assert bool(((one - other).abs() > 1e-2).any())


@lawful
def test_the_host_has_no_attention_and_no_feed_forward():
    model = shared_model(SLUG)
    for block in model.decoder.stack.layers:
        assert block.self_attn is None and block.mlp is None


@lawful
def test_the_language_model_is_mamba_2_of_its_published_size():
    model = on_meta(SYSTEM.at("paper"))
    width, inner, convolved, heads = 2560, 5120, 5120 + 256, 80
    mixer = width * (inner + convolved + heads) + 5 * convolved + 3 * heads + inner + inner * width
    layers = 64 * (mixer + width)
    assert count(model, "decoder") == 50_288 * width + layers + width
    assert count(model, "decoder", "head") == pytest.approx(2.7e9, rel=0.01)


@lawful
def test_fewer_parameters_than_llava_1_5():
    """The paper says 40% fewer, of its 3B against 7B and more; ours, encoder and all, in both."""
    theirs = system_or_skip("llava-1.5")
    mine, baseline = (count(on_meta(s.at("paper"))) for s in (SYSTEM, theirs))
    assert 1 - mine / baseline > 0.40


@lawful
def test_the_bill_of_a_prefill_equals_the_operator_count():
    for scale_or_tiny in (SYSTEM.at("nano"), tiny(SLUG)):
        answers = replace(
            scale_or_tiny,
            views=NoViews(),
            encoder=NoEncoder(),
            connector=NoConnector(),
            fusion=NoFusion(),
        )
        model = build(answers).eval()
        for text in (2, 13, 101):
            inputs = sample_inputs(answers, text=text)
            counted = operator_macs(lambda model=model, inputs=inputs: model(inputs))
            bill = cost(answers, text=text)
            assert bill.prefill_flops_operator == pytest.approx(2 * counted, rel=0.01)


@lawful
def test_work_for_the_prompt_grows_with_its_length_alone():
    bills = [cost(SYSTEM, text=text).part_flops("decoder") for text in (256, 512, 1024)]
    assert bills[2] - bills[1] == pytest.approx(2 * (bills[1] - bills[0]), rel=0.01)
    steps = {cost(SYSTEM, text=text).decode_flops for text in (16, 1024)}
    assert len(steps) == 1


@lawful
def test_a_sample_is_padded_and_batched_without_a_trace():
    model = shared_model(SLUG)
    samples = [SAMPLE, (said(9, 4),), (Picture(2, 64, 64), said(1, 5))]
    for side in ("left", "right"):
        together = batch(tiny(SLUG), samples, side=side)
        logits = model(together)
        for number, sample in enumerate(samples):
            alone = model(batch(tiny(SLUG), [sample]))[0]
            torch.testing.assert_close(
                logits[number][real(together)[number]], alone, atol=1e-4, rtol=1e-4
            )
