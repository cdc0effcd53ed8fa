"""X-Fusion's own checks."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import count, on_meta, system_or_skip
from tests.systems.drawn import ASKED, noised
from tests.tiny import Drawn, batch, close, drawing, fresh, host_of, real, said, shared_model, tiny

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.cost import count as bill
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.experts import DualTower, Keys, SharedWeights
from chiasm.spec import Answers
from chiasm.stream import Modality, Role
from chiasm.training.freezing import copy_own, freeze

SLUG = "x-fusion"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
builds = pytest.mark.evidence(slug=SLUG, grade="builds")
readings = pytest.mark.parametrize("keys", Keys)
TOLD = (said(2, 3), Drawn(2, clean=True, draft=False), said(2, 4), said(3, 5, Role.ASSISTANT))
"""A picture that is read, and what is said of it."""


def read_as(keys: Keys) -> Answers:
    return replace(tiny(SLUG), experts=DualTower(keys=keys))


@builds
def test_the_vision_tower_is_a_second_stack():
    """Llama-3.2-1B holds 973,146,112 parameters in its layers."""
    model = on_meta(SYSTEM.at("paper"))
    assert count(model, "experts") == 973_144_064
    assert count(model, "decoder") == 1_235_814_400
    assert SYSTEM.at("paper").head.latent.rows == 256


@lawful
@readings
def test_text_logits_stay_the_language_model_s_after_training(keys):
    model = fresh(read_as(keys))
    freeze(model, SYSTEM.at("paper").teaching.stages[-1].trained)
    texts = batch(tiny(SLUG), [(said(7, 1),), (said(4, 2),)])
    before = host_of(model)(texts)[real(texts)]
    assert torch.equal(model(texts)[real(texts)], before)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        model.loss(batch(tiny(SLUG), [*drawing(), TOLD])).backward()
        optimiser.step()
    assert torch.equal(model(texts)[real(texts)], before)


@lawful
@readings
def test_frozen_weights_get_no_gradient(keys):
    model = fresh(read_as(keys))
    freeze(model, SYSTEM.at("paper").teaching.stages[-1].trained)
    model.loss(batch(tiny(SLUG), [*drawing(), TOLD])).backward()
    for name, parameter in model.named_parameters():
        tower = ".experts." in name or name.startswith("head.flow.")
        assert (parameter.grad is not None) == tower, name


@lawful
@readings
def test_a_copied_tower_is_one_tower(keys):
    """On vision rows, drafts and clean ones, and on text rows that read them."""
    model = fresh(read_as(keys))
    one = build(replace(tiny(SLUG), experts=SharedWeights())).eval()
    held = model.state_dict()
    one.load_state_dict({name: held[name] for name in one.state_dict()})
    made = noised(tiny(SLUG), [*drawing(), TOLD], time=0.4)
    rows = real(made.inputs)
    expected = one.hidden(made.inputs)[rows]
    assert not torch.allclose(model.hidden(made.inputs)[rows], expected, atol=1e-3)
    copy_own(model)
    close(model.hidden(made.inputs)[rows], expected, 1e-5)


@lawful
def test_the_two_readings_differ_in_whose_keys_a_tower_reads():
    """With keys of its own, the vision tower reads text through its own projections."""
    reached = {}
    for keys in Keys:
        model = fresh(read_as(keys))
        made = noised(tiny(SLUG), [ASKED], time=0.4)
        model.velocity(model.hidden(made.inputs)[made.rows]).square().sum().backward()
        own = model.decoder.stack.layers[-1].self_attn.k_proj.weight.grad
        reached[keys] = own is not None and bool(own.any())
    assert reached == {Keys.TOWER: False, Keys.MODALITY: True}


@lawful
def test_a_tower_queries_its_own_rows_and_makes_keys_of_all():
    """Attention costs what one tower's costs; keys and values are made twice."""
    model, made = fresh(read_as(Keys.TOWER)), noised(tiny(SLUG), [ASKED], time=0.4)
    text, latent = 4, tiny(SLUG).head.latent.rows
    towers = {"text": model.decoder.stack.layers[0], "vision": model.decoder.stack.experts[0][0]}
    seen: dict[tuple[str, str], int] = {}
    for name, block in towers.items():
        for site, module in (*block.self_attn.named_children(), ("mlp", block.mlp)):
            module.register_forward_hook(
                lambda m, given, out, key=(name, site): seen.update({key: given[0].shape[-2]})
            )
    model.hidden(made.inputs)
    for name, own in (("text", text), ("vision", latent)):
        for site in ("q_proj", "o_proj", "mlp"):
            assert seen[name, site] == own, (name, site)
        for site in ("k_proj", "v_proj"):
            assert seen[name, site] == text + latent, (name, site)


@lawful
def test_every_tower_keeps_keys_of_the_prompt():
    model, cache = shared_model(SLUG), GrowingCache()
    inputs = batch(tiny(SLUG), [(said(5, 1),)])
    model(inputs, cache=cache)
    host = tiny(SLUG).host
    numbers = 2 * 2 * host.depth * host.kv_heads * host.head_width * 5
    assert cache.bytes == 4 * numbers


@lawful
def test_cost_counts_one_tower_s_attention_and_both_towers_keys():
    """Of a text prompt: the vision tower adds its keys and values and nothing else."""
    tower, modality = (
        bill(replace(SYSTEM.at("paper"), experts=DualTower(keys=keys)), text=64) for keys in Keys
    )
    host = SYSTEM.at("paper").host
    shared = 2 * host.kv_heads * host.head_width
    extra = 2 * host.depth * 64 * host.width * shared
    assert tower.part_flops("decoder") - modality.part_flops("decoder") == extra
    passed = host.depth * host.width * shared + host.depth * host.width
    assert tower.parameters.active - modality.parameters.active == passed


@lawful
def test_pictures_of_a_question_enter_as_clean_latents(tmp_path):
    """There is no encoder: what is described is read from its latents, at time 0."""
    from PIL import Image

    tokenizer = fit_tokenizer(["what is this? a cup"], 280)
    answers = replace(tiny(SLUG), host=replace(tiny(SLUG).host, vocabulary=len(tokenizer)))
    example = Example("told", (Image.new("RGB", (9, 9)),), (Turn("what is this?", "a cup"),))
    inputs = Collator(answers, NANO, tokenizer).batch([example], teach=True)
    latent = inputs.table.modality == int(Modality.LATENT)
    assert int(latent.sum()) == answers.head.latent.rows and inputs.images is None
    assert set(inputs.table.role[latent].tolist()) == {int(Role.USER)}
    assert torch.equal(inputs.latents[0], torch.full_like(inputs.latents[0], -1.0))
    assert int((inputs.labels >= 0).sum()) > 0
    close(build(answers).eval().losses(inputs).main, build(answers).eval().losses(inputs).main, 0)
