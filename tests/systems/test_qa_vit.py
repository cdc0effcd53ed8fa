"""The card of 095 qa-vit, and its layers against CLIP's."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, said, tiny
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from chiasm.assemble import build
from chiasm.connectors import QuestionAware
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.model import part_of
from chiasm.spec import geometry
from chiasm.stream import Asked, Features
from chiasm.training.freezing import freeze

SLUG = "qa-vit"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

LAYERS = QuestionAware(depth=2, heads=3, ff_width=19, spare=1, activation="quick_gelu")
WIDTH, OUT, GRID = 12, 17, (1, 7)
ONE = (said(3, 1), Picture(1, 24, 40), said(5, 2))
OTHER = (said(3, 1), Picture(1, 24, 40), said(5, 3))


def drawn(*, gate: float) -> torch.nn.Module:
    torch.manual_seed(0)
    connector = LAYERS.build(WIDTH, OUT)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
        for told in connector.told:
            told.gate.fill_(gate)
    return connector.requires_grad_(False)


def features() -> Features:
    return Features(torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(1)), GRID)


def asked(words: int = 4, seed: int = 2) -> Asked:
    generator = torch.Generator().manual_seed(seed)
    return Asked(
        ids=torch.zeros(2, words, dtype=torch.long),
        embeddings=torch.randn(2, words, OUT, generator=generator),
        valid=torch.ones(2, words, dtype=torch.bool),
        browse=None,
    )


def image_rows(model, sample) -> torch.Tensor:
    inputs = batch(tiny(SLUG), [sample])
    return model.stream(inputs).embeddings[inputs.source >= 0]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_with_gates_at_zero_features_are_the_same_whatever_is_asked():
    """Bit for bit, and the gates open in training."""
    model = build(tiny(SLUG)).eval()
    assert torch.equal(image_rows(model, ONE), image_rows(model, OTHER))
    heard = fresh(tiny(SLUG)).requires_grad_(False)
    assert float((image_rows(heard, ONE) - image_rows(heard, OTHER)).abs().max()) > 1e-3
    model.loss(batch(tiny(SLUG), ragged())).backward()
    assert all(float(told.gate.grad.abs()) > 0 for told in model.connector.told)
    for layer, told in zip(model.connector.vision_tower, model.connector.told, strict=True):
        assert torch.equal(layer.output.weight, told.output.weight)


@lawful
def test_as_many_tokens_as_before():
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 576
    assert image_rows(fresh(tiny(SLUG)), ONE).shape == (15, 29)


@lawful
def test_unheard_layers_are_clips():
    connector = drawn(gate=0.0)
    config = CLIPVisionConfig(hidden_size=WIDTH, intermediate_size=19, num_attention_heads=3)
    config._attn_implementation = "sdpa"
    hidden = features().tokens
    for mine in connector.vision_tower:
        theirs = CLIPEncoderLayer(config).eval()
        parts = zip(mine.qkv.weight.chunk(3), mine.qkv.bias.chunk(3), strict=True)
        names = ("q_proj", "k_proj", "v_proj")
        for name, (weight, bias) in zip(names, parts, strict=True):
            getattr(theirs.self_attn, name).load_state_dict({"weight": weight, "bias": bias})
        theirs.self_attn.out_proj.load_state_dict(mine.output.state_dict())
        theirs.mlp.fc1.load_state_dict(mine.expand.state_dict())
        theirs.mlp.fc2.load_state_dict(mine.contract.state_dict())
        theirs.layer_norm1.load_state_dict(mine.norm_read.state_dict())
        theirs.layer_norm2.load_state_dict(mine.norm.state_dict())
        out = theirs(hidden, attention_mask=None)
        hidden = out if isinstance(out, torch.Tensor) else out[0]
    expected = connector.mlp(hidden[:, 1:])
    close(connector.connect(features(), asked()).embeddings, expected, 1e-5)


@lawful
def test_the_second_read_is_over_rows_and_words():
    """One softmax over both, by hand, in the first layer."""
    connector = drawn(gate=0.7)
    layer, told, x = connector.vision_tower[0], connector.told[0], features().tokens
    both = torch.cat([x, told.words(asked().embeddings)], 1)
    q, k, v = layer.qkv(layer.norm_read(both)).chunk(3, -1)

    def read(keys: slice) -> torch.Tensor:
        heads = []
        for head in range(3):
            at = slice(4 * head, 4 * head + 4)
            scores = q[:, :7, at] @ k[:, keys, at].transpose(1, 2) / 2.0
            heads.append(scores.softmax(-1) @ v[:, keys, at])
        return torch.cat(heads, -1)

    plain, heard = layer.output(read(slice(0, 7))), told.output(read(slice(None)))
    expected = layer.think(x + plain + torch.tensor(0.7).tanh() * heard)
    close(connector._layer(0, x, None, asked()), expected, 1e-5)


@lawful
def test_padding_of_the_question_has_no_effect():
    connector, whole = drawn(gate=0.7), asked(6)
    valid = whole.valid.clone()
    valid[:, 4:] = False
    padded = connector.connect(features(), replace(whole, valid=valid)).embeddings
    cut = Asked(whole.ids[:, :4], whole.embeddings[:, :4], whole.valid[:, :4], None)
    close(padded, connector.connect(features(), cut).embeddings, 1e-5)


@lawful
def test_lower_layers_run_once_for_all_questions():
    model, seen = fresh(tiny(SLUG)).requires_grad_(False), []
    model.encoder.register_forward_hook(lambda m, args, out: seen.append(len(args[0])))
    model(batch(tiny(SLUG), [ONE, OTHER]))
    assert seen == [1]


@lawful
def test_the_encoders_own_weights_stay_as_they_are():
    model = build(tiny(SLUG))
    freeze(model, SYSTEM.at("paper").teaching.stages[-1].trained)
    model.loss(batch(tiny(SLUG), ragged())).backward()
    assert all(p.grad is None for p in model.connector.vision_tower.parameters())
    learned = [*model.connector.told.parameters(), *model.connector.mlp.parameters()]
    assert all(p.grad is not None for p in learned if p.requires_grad)
    names = [name for name, _ in model.named_parameters() if "vision_tower" in name]
    assert names and {part_of(name) for name in names} == {"encoder"}


@lawful
def test_its_layers_are_the_upper_half_of_clip():
    """As many parameters as LLaVA's encoder, its last layer apart, which is not read."""
    from chiasm.lineages.encoders import CLIP_L_336
    from chiasm.lineages.vision_language import VISION_LANGUAGE
    from chiasm.spec import Scale

    plain = on_meta(VISION_LANGUAGE[Scale.PAPER])
    layer = 4 * (1024**2 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 4 * 1024
    assert CLIP_L_336.config.num_hidden_layers == 24
    assert count(on_meta(SYSTEM.at("paper")), "encoder") == count(plain, "encoder") - layer


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
