"""What `count` says, against published figures, hand counts, and the model as it runs."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.cost import count, sample_inputs
from chiasm.cost.latency import prefill
from chiasm.errors import Misuse
from chiasm.experts.router import Predictors
from chiasm.fusion import VisualPath
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Scale, geometry, registered
from chiasm.stream import Inputs, Role

NANO = VISION_LANGUAGE[Scale.NANO]
IMAGE = (53, 71)
TEXT = 11


def needed(slug):
    """A registered system, or a skip where its file was taken away."""
    systems = registered()
    if slug not in systems:
        pytest.skip(f"systems/ has no {slug}")
    return systems[slug]


def paper(slug, *, visual=576, text=64, **changes):
    answers = needed(slug).at(Scale.PAPER)
    answers = replace(answers, **changes)
    return count(answers, visual=visual, text=text, name=slug)


@pytest.mark.parametrize(
    ("slug", "teraflops"), [("llava-1.5", 8.53), ("saisa", 2.86), ("llava-mini", 1.935)]
)
def test_prefill_equals_the_published_figure(slug, teraflops):
    assert paper(slug).prefill_flops / 1e12 == pytest.approx(teraflops, rel=0.01)


@pytest.mark.parametrize(("slug", "teraflops"), [("llava-1.5", 8.50), ("llava-mini", 1.91)])
def test_decoder_column_equals_the_card_of_llava_mini(slug, teraflops):
    assert paper(slug).part_flops("decoder") / 1e12 == pytest.approx(teraflops, rel=0.01)


@pytest.mark.parametrize(
    ("path", "visual", "text", "percent"),
    [
        (VisualPath.FFN, 576, 64, -16.8),
        (VisualPath.FFN, 2304, 64, -23.2),
        (VisualPath.DIAG, 576, 64, -9.5),
        (VisualPath.DIAG, 2304, 64, -15.8),
        (VisualPath.DIAG, 5184, 256, -23.6),
    ],
)
def test_both_readings_of_ee_mllm_save_what_its_card_says(path, visual, text, percent):
    plain = paper("llava-1.5", visual=visual, text=text).prefill_flops
    fusion = replace(needed("ee-mllm").at(Scale.PAPER).fusion, visual_path=path)
    saved = paper("ee-mllm", visual=visual, text=text, fusion=fusion).prefill_flops
    assert 100 * (saved / plain - 1) == pytest.approx(percent, abs=0.06)


def test_projectors_hold_the_published_numbers_of_parameters():
    assert paper("llava-1.5").parameters.by_part["connector"] == 20_979_712
    assert paper("saisa").parameters.by_part["fusion"] == 671_350_784
    assert paper("llava-mini").parameters.by_part["fusion"] == pytest.approx(810e6, rel=0.01)


def test_kv_bytes_of_an_image_equal_the_card_of_llava_mini():
    def image(slug):
        return paper(slug).kv_bytes - paper(slug, visual=0).kv_bytes

    assert image("llava-1.5") == 288 * 2**20
    assert image("llava-mini") == 2**19


def as_billed(answers):
    """As it answers; as it is taught, where predictors yet to be taught decide what runs."""
    model = build(answers).requires_grad_(False)
    return model.train(any(isinstance(module, Predictors) for module in model.modules()))


@pytest.mark.parametrize("slug", registered())
def test_operator_counter_agrees_on_every_nano_system(slug):
    answers = registered()[slug].at(Scale.NANO)
    model = as_billed(answers)
    inputs = sample_inputs(answers, text=TEXT, image_size=IMAGE)
    counted = count(answers, text=TEXT, image_size=IMAGE).prefill_flops_operator
    assert counted == pytest.approx(2 * operator_macs(lambda: model(inputs)), rel=0.01)


@pytest.mark.parametrize("slug", registered())
def test_a_cached_step_and_its_cache_agree_on_every_nano_system(slug):
    answers = registered()[slug].at(Scale.NANO)
    bill = count(answers, text=TEXT, image_size=IMAGE, dtype="fp32")
    model = as_billed(answers)
    inputs = sample_inputs(answers, text=TEXT, image_size=IMAGE)
    cache = GrowingCache()
    prefill(model, inputs, cache)
    gates = [ts for key, ts in cache.memory.items() if isinstance(key, tuple) and key[0] == "gate"]
    floating = [t for ts in gates for t in ts if t.is_floating_point()]
    chosen = sum(t.numel() * t.element_size() for t in floating)
    assert bill.kv_bytes == cache.bytes - chosen
    last = inputs.table.cut(slice(-1, None))
    row = replace(
        last,
        order=last.order + 1,
        position=last.position + 1,
        role=torch.full_like(last.role, int(Role.ASSISTANT)),
    )
    step = Inputs(ids=inputs.ids[:, -1:], table=row, source=torch.full((1, 1), -1))
    made = 2 * operator_macs(lambda: model(step, cache=cache))
    assert bill.decode_flops == pytest.approx(made, rel=0.01)


@pytest.mark.parametrize("slug", registered())
def test_parameters_are_those_of_the_model(slug):
    answers = registered()[slug].at(Scale.NANO)
    model, parameters = build(answers), count(answers, text=TEXT).parameters
    assert parameters.total == sum(p.numel() for p in model.parameters())
    assert parameters.trained == list(parameters.stages.values())[-1]
    for stage in answers.teaching.stages:
        learn = sum(p.numel() for part in stage.trained for p in model.part(part))
        assert parameters.stages[stage.name] == learn
    assert 0 < parameters.active <= parameters.total


@pytest.mark.parametrize("slug", registered())
@pytest.mark.parametrize("scale", list(Scale))
def test_every_system_is_counted_at_every_scale(slug, scale):
    bill = count(slug, scale)
    assert bill.prefill_flops_executed <= bill.prefill_flops_operator
    assert min(bill.prefill_flops, bill.decode_flops, bill.kv_bytes, bill.weight_bytes) > 0
    assert bill.peak_bytes_predicted > bill.weight_bytes + bill.kv_bytes


def test_conventions_differ_by_what_their_names_say():
    bill = count(NANO, text=TEXT, image_size=IMAGE)
    tokens, host = bill.visual_tokens, NANO.host
    assert tokens == geometry(NANO, IMAGE).tokens
    rows = tokens + TEXT
    inner = host.heads * host.head_width
    per_row = 4 * host.width * inner + 3 * host.width * host.ff_width
    connector = 2 * tokens * (NANO.encoder.width * host.width + host.width**2)

    def decoder(pairs):
        return 2 * host.depth * (rows * per_row + 2 * pairs * inner)

    head = 2 * host.width * host.vocabulary
    encoder = bill.part_flops("encoder")
    causal = rows * (rows + 1) // 2
    assert bill.prefill_flops == connector + decoder(rows**2)
    assert bill.prefill_flops_executed == encoder + connector + decoder(causal) + head
    assert bill.prefill_flops_operator == encoder + connector + decoder(rows**2) + rows * head
    assert bill.kv_bytes == 2 * 2 * host.depth * rows * inner


def test_a_layerwise_connector_is_paid_in_every_layer():
    answers = needed("saisa").at(Scale.NANO)
    once = count(NANO, text=TEXT).part_flops("connector")
    assert count(answers, text=TEXT).part_flops("connector") == answers.host.depth * once


def test_no_image_costs_what_text_alone_costs():
    alone, text_only = count(NANO, visual=0, text=TEXT), needed("text-only").at(Scale.NANO)
    assert alone.rows == TEXT and alone.visual_tokens == 0
    assert alone.prefill_flops == count(replace(text_only, host=NANO.host), text=TEXT).prefill_flops
    assert alone.part_flops("encoder") == alone.part_flops("connector") == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(text=0), "0 text tokens"),
        (dict(text=-5), "-5 text tokens"),
        (dict(text=10**12), "1000000000000 text tokens"),
        (dict(visual=-1), "-1 visual tokens"),
        (dict(visual=10**9), "1000000000 visual tokens"),
        (dict(image_size=(0, 7)), "0x7"),
        (dict(dtype="int3"), "'int3'"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_one_line(asked, said):
    with pytest.raises(Misuse, match=said) as refused:
        count(NANO, **asked)
    assert "\n" not in str(refused.value)


def test_sizes_that_build_no_model_are_refused():
    with pytest.raises(Misuse, match="build no model"):
        count(replace(NANO, host=replace(NANO.host, width=-5)))


def test_a_scale_that_is_not_stated_is_refused():
    whole = next(iter(registered().values()))
    with pytest.raises(Misuse, match="unknown scale 'huge'"):
        count(whole, "huge")
    small = replace(whole, scales={Scale.NANO: whole.at(Scale.NANO)})
    with pytest.raises(Misuse, match="states no paper scale, only nano"):
        count(small, "paper")
