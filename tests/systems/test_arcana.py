"""The card of 134 arcana. Its ladder's own equations are in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import batch, fresh, ragged, said, tiny

from chiasm.connectors import QueryLadder
from chiasm.experts import AdaptedWeights, LoRA
from chiasm.experts.adapters import EVERY_SITE
from chiasm.model import part_of
from chiasm.spec import geometry
from chiasm.stream import Modality, Role

SLUG = "arcana"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")
VISUAL, LANGUAGE = 64, 192


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_square_matrix_trains_what_one_lora_of_rank_256_does():
    layer = on_meta(PAPER).decoder.stack.layers[0].self_attn.q_proj
    added = sum(p.numel() for n, p in layer.named_parameters() if n.startswith("experts."))
    assert added == (VISUAL + LANGUAGE) * 8192
    one = LoRA(sites=EVERY_SITE, rank=256, alpha=512.0, dropout=0.0)
    shared = on_meta(replace(PAPER, experts=AdaptedWeights((one,))))
    ours = sum(p.numel() for p in on_meta(PAPER).part("experts"))
    assert ours == sum(p.numel() for p in shared.part("experts"))


@lawful
def test_language_pairs_leave_visual_rows_of_their_matrix_alone():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged()[:1])
    for name in ("self_attn.v_proj", "mlp.up_proj"):
        layer, outputs = model.decoder.stack.layers[0].get_submodule(name), []
        hook = layer.register_forward_hook(lambda m, given, out, o=outputs: o.append(out))
        model(inputs)
        with torch.no_grad():
            layer.experts[0].pairs[0].b.add_(0.5)
        model(inputs)
        hook.remove()
        media = int((inputs.table.modality > 0).sum())
        changed = (outputs[0] != outputs[1]).any(-1)[0]
        assert not bool(changed[:media].any()) and bool(changed[media:].all())


@lawful
def test_patch_tokens_are_the_plain_encoders():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    features = model.encoder(inputs.images)
    plain = model.encoder.base(inputs.images).tokens
    connected = model.connector.connect(features).embeddings
    patches = plain.shape[1]
    assert torch.equal(features.tokens[..., -plain.shape[2] :], plain)
    torch.testing.assert_close(connected[:, :patches], model.connector.projection(plain))
    assert connected.shape[1] == patches + tiny(SLUG).connector.queries


@lawful
def test_the_ladder_holds_the_published_numbers_and_its_last_rung_learns_nothing():
    connector = on_meta(PAPER).connector
    assert sum(p.numel() for p in connector.rungs.parameters()) == 302_358_528
    assert connector.queries.numel() == 65_536
    assert geometry(PAPER, (480, 640)).placeholders == 640
    ladder: QueryLadder = tiny(SLUG).connector
    idle = replace(tiny(SLUG), connector=replace(ladder, rungs=ladder.rungs + 1, idle=1))
    model = fresh(idle)
    model.loss(batch(idle, ragged())).backward()
    rungs = model.connector.rungs
    assert all(p.grad is None for p in rungs[-1].parameters())
    assert all(bool(p.grad.any()) for p in rungs[-2].to_q.parameters())


@lawful
@pytest.mark.parametrize("modality", [Modality.TEXT, Modality.IMAGE])
def test_low_rank_flops_of_a_row_are_below_rank_256(modality):
    (pairs,) = PAPER.experts.adapters
    one = LoRA(sites=EVERY_SITE, rank=256, alpha=512.0, dropout=0.0)
    rank = {Modality.TEXT: LANGUAGE, Modality.IMAGE: VISUAL}[modality]
    assert pairs.macs(4096, 11_008, modality) == rank * (4096 + 11_008)
    assert pairs.macs(4096, 11_008, modality) < one.macs(4096, 11_008, modality)


@lawful
def test_a_batch_of_text_gives_visual_pairs_zero_gradients_not_none():
    model = fresh(tiny(SLUG))
    model.loss(batch(tiny(SLUG), [(said(4, 1), said(2, 2, Role.ASSISTANT))])).backward()
    visual = [p.grad for n, p in model.named_parameters() if ".pairs.1." in n]
    assert visual and all(g is not None and not bool(g.any()) for g in visual)


@lawful
def test_the_first_stage_teaches_ladder_and_projector_alone():
    first, second = PAPER.teaching.stages
    assert first.trained == ("connector",) and "experts" in second.trained
    names = {n for n, _ in fresh(tiny(SLUG)).named_parameters() if part_of(n) == "connector"}
    assert any("rungs" in n for n in names) and any("projection" in n for n in names)
