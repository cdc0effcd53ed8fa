"""The card of 014 ee-mllm, in both readings of its visual path."""

from dataclasses import dataclass, replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, host_of, ragged, real, said, tiny
from torch import Tensor

from chiasm.backbone import Execution
from chiasm.fusion import InSequence, VisualPath
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.model import Model
from chiasm.spec import Answers, Scale
from chiasm.stream import Rule
from chiasm.stream.rule import Side
from chiasm.visibility import Everything, Sight

SLUG = "ee-mllm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
READINGS = [VisualPath.FFN, VisualPath.DIAG]

BEFORE, PATCHES = 2, 15
SAMPLE = (said(BEFORE, 1), Picture(1, 30, 50), said(4, 2))
MEDIA = slice(BEFORE, BEFORE + PATCHES)


def reading(path: VisualPath) -> Answers:
    return replace(tiny(SLUG), fusion=InSequence(path))


def layers_of(model: Model) -> tuple[Tensor, list[Tensor]]:
    """The embeddings of a sample, as a leaf, and every layer's input."""
    stream = model.stream(batch(model.answers, [SAMPLE]))
    leaf = stream.embeddings.detach().requires_grad_()
    inputs: list[Tensor] = []
    model.decoder.stack(replace(stream, embeddings=leaf), inputs=inputs)
    return leaf, inputs


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("scale", list(Scale))
def test_it_holds_as_many_parameters_as_llava(scale):
    assert count(on_meta(SYSTEM.at(scale))) == count(on_meta(VISION_LANGUAGE[scale]))


@lawful
@pytest.mark.parametrize("path", READINGS)
def test_a_visual_row_depends_on_its_own_token_only(path):
    leaf, inputs = layers_of(fresh(reading(path)))
    assert len(inputs) == tiny(SLUG).host.depth
    for hidden in inputs:
        for row in (MEDIA.start, MEDIA.start + 6, MEDIA.stop - 1):
            (gradient,) = torch.autograd.grad(hidden[0, row].sum(), leaf, retain_graph=True)
            assert (gradient[0].abs().sum(-1) > 0).nonzero().flatten().tolist() == [row]


@lawful
@pytest.mark.parametrize("path", READINGS)
def test_a_visual_row_follows_its_equation(path):
    """ffn: h + FFN(norm h). diag: first h + W_o W_v norm(h)."""
    model = fresh(reading(path))
    host = model.answers.host
    _, inputs = layers_of(model)
    for block, before, after in zip(
        model.decoder.stack.layers, inputs[:-1], inputs[1:], strict=False
    ):
        h = before[:, MEDIA]
        if path is VisualPath.DIAG:
            own = block.self_attn.v_proj(block.input_layernorm(h))
            heads = own.unflatten(-1, (host.kv_heads, host.head_width))
            shared = heads.repeat_interleave(host.heads // host.kv_heads, dim=-2)
            h = h + block.self_attn.o_proj(shared.flatten(-2))
        h = h + block.mlp(block.post_attention_layernorm(h))
        close(h, after[:, MEDIA], 1e-6)


@dataclass(frozen=True)
class IdentityAmongVisual(Rule):
    """Text is causal; a visual row sees itself."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return torch.where(q.modality > 0, q.order == k.order, k.order <= q.order)


@lawful
def test_diag_equals_dense_attention_with_an_identity_visual_block():
    """The dense side is plain LLaVA under a rule of this test's own: no plan, no slot."""
    model = fresh(reading(VisualPath.DIAG))
    dense = fresh(
        replace(
            reading(VisualPath.FULL),
            visibility=Sight(sequence=IdentityAmongVisual(), memory=Everything()),
        )
    )
    dense.load_state_dict(model.state_dict())
    inputs = batch(tiny(SLUG), ragged())
    close(model(inputs)[real(inputs)], dense(inputs)[real(inputs)], 1e-5)
    masked = model(inputs, execution=Execution.MASKED)
    close(masked[real(inputs)], dense(inputs)[real(inputs)], 1e-5)


@lawful
@pytest.mark.parametrize("path", READINGS)
def test_without_an_image_it_is_its_host_bit_for_bit(path):
    model = fresh(reading(path))
    inputs = batch(tiny(SLUG), [(said(5, 1),), (said(3, 2),)])
    assert torch.equal(model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)])


@lawful
def test_the_readings_differ():
    one, other = fresh(reading(VisualPath.FFN)), fresh(reading(VisualPath.DIAG))
    inputs = batch(tiny(SLUG), [SAMPLE])
    assert float((one(inputs) - other(inputs)).detach().abs().max()) > 1e-3
