"""The card of 007 saisa. Its FLOPs are in `tests/cost`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import (
    Permuted,
    Watched,
    builds_and_learns,
    count,
    on_meta,
    system_or_skip,
)
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, shared_model, tiny

from chiasm.backbone import Execution

SLUG = "saisa"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

BEFORE, PATCHES = 3, 15
SAMPLE = (said(BEFORE, 1), Picture(1, 30, 50), said(5, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_projectors_hold_the_published_number_of_parameters():
    model = on_meta(SYSTEM.at("paper"))
    assert count(model, "fusion") == 32 * 20_979_712 == 671_350_784
    assert count(model, "connector") == 0


@lawful
def test_permuting_features_with_their_positions_leaves_text_alone():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE])
    text = inputs.table.modality == 0
    before = model(inputs)[text]
    order = torch.randperm(PATCHES, generator=torch.Generator().manual_seed(3))
    model.encoder = Permuted(model.encoder, order)
    position = inputs.table.position.clone()
    position[0, BEFORE : BEFORE + PATCHES] = position[0, BEFORE + order]
    moved = replace(inputs, table=replace(inputs.table, position=position))
    close(model(moved)[text], before, 1e-5)
    assert float((model(inputs)[text] - before).detach().abs().max()) > 1e-3


@lawful
def test_a_visual_rows_keys_and_values_depend_on_its_own_feature_only():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE])
    model.encoder = Watched(model.encoder)
    made: list[torch.Tensor] = []
    for block in model.decoder.stack.layers:
        for projection in (block.self_attn.k_proj, block.self_attn.v_proj):
            projection.register_forward_hook(lambda module, given, out: made.append(out))
    model(inputs)
    assert len(made) == 2 * tiny(SLUG).host.depth
    for out in made:
        for row in (0, 7, PATCHES - 1):
            # Planned layouts store media rows first, in their order.
            (gradient,) = torch.autograd.grad(
                out[0, row].sum(), model.encoder.tokens, retain_graph=True
            )
            reached = gradient[0].abs().sum(-1) > 0
            assert reached.nonzero().flatten().tolist() == [row]


@lawful
def test_masked_and_row_skipping_runs_agree():
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), ragged())
    planned, masked = model(inputs), model(inputs, execution=Execution.MASKED)
    close(planned[real(inputs)], masked[real(inputs)], 1e-5)


@lawful
def test_visual_rows_skip_query_output_and_feed_forward():
    """The rows that each projection really receives."""
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE])
    received: dict[str, set[int]] = {}
    for name, module in model.decoder.stack.layers.named_modules():
        if isinstance(module, torch.nn.Linear):
            kind = name.split(".")[-1]
            module.register_forward_hook(
                lambda m, given, out, kind=kind: received.setdefault(kind, set()).add(
                    given[0].shape[1]
                )
            )
    model(inputs)
    text, every = BEFORE + 5, BEFORE + 5 + PATCHES
    assert received["k_proj"] == received["v_proj"] == {every}
    for skipped in ("q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        assert received[skipped] == {text}, skipped


@lawful
def test_every_layer_reads_its_own_projection():
    """At each layer's entry, visual rows are P_i(v), whatever they held before."""
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE])
    features = model.encoder(inputs.images).tokens
    entered: list[torch.Tensor] = []
    for block in model.decoder.stack.layers:
        block.input_layernorm.register_forward_hook(lambda m, given, out: entered.append(given[0]))
    model(inputs)
    for layer, hidden in enumerate(entered):
        projector = model.decoder.stack.before[str(layer)].projector
        assert torch.equal(hidden[:, :PATCHES], projector(features))


@lawful
def test_text_before_the_image_sees_only_itself():
    model = shared_model(SLUG)
    one, other = (
        model(batch(tiny(SLUG), [(said(BEFORE, 1), Picture(number, 30, 50), said(5, 2))]))
        for number in (1, 2)
    )
    assert torch.equal(one[:, :BEFORE], other[:, :BEFORE])
    assert not torch.equal(one[:, -5:], other[:, -5:])
