"""The card of 090 chatbridge; the Q-Former's layers are tested in `tests/connectors`."""

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import close
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from chiasm.assemble import build
from chiasm.connectors import QFormer, Timed
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.errors import Misuse
from chiasm.spec import geometry
from chiasm.stream import Asked, Features

SLUG = "chatbridge"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

FORMER = QFormer(latents=5, depth=3, heads=3, head_width=4, ff_width=19)
WIDTH, OUT, FRAMES, GRID = 11, 17, 4, (8, 3)


def made() -> torch.nn.Module:
    torch.manual_seed(0)
    connector = Timed(each=FORMER, frames=FRAMES).build(WIDTH, OUT)
    with torch.no_grad():
        for parameter in connector.each.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return connector.requires_grad_(False)


def clip() -> torch.Tensor:
    return torch.randn(2, 24, WIDTH, generator=torch.Generator().manual_seed(1))


def turned(tokens: torch.Tensor) -> torch.Tensor:
    return tokens.unflatten(1, (FRAMES, -1))[:, [2, 0, 3, 1]].flatten(1, 2)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("frames", [1, 4, 30])
def test_32_tokens_for_a_clip_of_any_length(frames):
    connector = SYSTEM.at("paper").connector
    longer = Timed(each=connector.each, frames=frames)
    assert longer.count((frames * 16, 16)) == 32
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 32


@lawful
def test_order_is_unseen_at_first_and_seen_after_teaching():
    connector = made()
    before, after = (
        connector.connect(Features(tokens, GRID)).embeddings for tokens in (clip(), turned(clip()))
    )
    close(after, before, 1e-5)
    connector.times.copy_(torch.randn(connector.times.shape))
    before, after = (
        connector.connect(Features(tokens, GRID)).embeddings for tokens in (clip(), turned(clip()))
    )
    assert float((after - before).abs().max()) > 1e-2


@lawful
def test_a_frames_vector_gets_gradient_from_that_frame_alone():
    connector = made()
    connector.times.requires_grad_()
    tokens = clip().requires_grad_()
    connector.connect(Features(tokens, GRID)).embeddings.square().sum().backward()
    by_frame = tokens.grad.unflatten(1, (FRAMES, -1)).sum((0, 2))
    close(connector.times.grad[:, 0], by_frame, 1e-4)
    with pytest.raises(Misuse, match="7 rows of tokens are not 4 equal frames"):
        connector.connect(Features(clip()[:, :21], (7, 3)))


@lawful
def test_it_reads_no_words():
    connector = made()
    asked = Asked(
        ids=torch.zeros(2, 3, dtype=torch.long),
        embeddings=torch.randn(2, 3, OUT),
        valid=torch.ones(2, 3, dtype=torch.bool),
        browse=None,
    )
    plain = connector.connect(Features(clip(), GRID)).embeddings
    assert torch.equal(connector.connect(Features(clip(), GRID), asked).embeddings, plain)
    assert not SYSTEM.at("paper").connector.conditioned
    assert not any("words" in name for name, _ in connector.named_parameters())


@pytest.mark.evidence(slug=SLUG, grade="lawful")
def test_without_words_it_is_transformers_blip_2():
    connector = made().each
    theirs = Blip2QFormerModel(
        Blip2QFormerConfig(
            hidden_size=12,
            num_hidden_layers=3,
            num_attention_heads=3,
            intermediate_size=19,
            cross_attention_frequency=2,
            encoder_hidden_size=WIDTH,
        )
    ).eval()

    def read(target, source) -> None:
        for name in ("query", "key", "value"):
            getattr(target.attention, name).load_state_dict(getattr(source, name).state_dict())
        target.output.dense.load_state_dict(source.output.state_dict())
        target.output.LayerNorm.load_state_dict(source.norm.state_dict())

    theirs.layernorm.load_state_dict(connector.norm.state_dict())
    for mine, layer in zip(connector.layers, theirs.encoder.layer, strict=True):
        read(layer.attention, mine.among)
        if mine.features is not None:
            read(layer.crossattention, mine.features)
        layer.intermediate_query.dense.load_state_dict(mine.think.expand.state_dict())
        layer.output_query.dense.load_state_dict(mine.think.contract.state_dict())
        layer.output_query.LayerNorm.load_state_dict(mine.think.norm.state_dict())
    one, other = clip().requires_grad_(), clip().requires_grad_()
    queries = connector.queries.expand(2, -1, -1)
    hidden = theirs(query_embeds=queries, encoder_hidden_states=other).last_hidden_state
    expected = connector.projection(hidden)
    got = connector.connect(Features(one, GRID)).embeddings
    close(got, expected, 1e-5)
    got.square().sum().backward()
    expected.square().sum().backward()
    close(one.grad, other.grad, 1e-5)


@lawful
def test_the_host_stays_as_it_is():
    answers = SYSTEM.at("paper")
    assert {part for stage in answers.teaching.stages for part in stage.trained} == {"connector"}
    # BLIP-2's Q-Former holds 105 million, its queries and the map to the host apart.
    former = on_meta(answers).connector.each
    own = sum(p.numel() for name, p in former.named_parameters() if "projection" not in name)
    assert own - 32 * 768 == pytest.approx(105.1e6, rel=1e-3)
    assert count(on_meta(answers), "connector") == own + (768 + 1) * 5120 + 4 * 1408


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
