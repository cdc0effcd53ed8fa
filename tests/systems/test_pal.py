"""The card of 195 pal; a picture stands for the spectrogram."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, system_or_skip
from tests.tiny import Picture, batch, close, fresh, host_of, ragged, real, said, tiny

from chiasm.backbone import Execution
from chiasm.cost import count as cost
from chiasm.fusion import DelayedKeys, InSequence
from chiasm.layers import attend_slowly, merge_heads, split_heads

SLUG = "pal"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
LATE = replace(tiny(SLUG), fusion=DelayedKeys(first=2))
SAMPLE = (said(3, 1), Picture(1, 30, 50), said(5, 2))
OTHER = (said(3, 1), Picture(2, 30, 50), said(5, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("first", [1, 2])
def test_hidden_states_before_the_entry_do_not_depend_on_the_media(first):
    answers = replace(tiny(SLUG), fusion=DelayedKeys(first=first))
    model = fresh(answers).requires_grad_(False)
    entering: list[list[torch.Tensor]] = []
    for sample in (SAMPLE, OTHER):
        inputs = batch(answers, [sample])
        entering.append([])
        model.decoder(model.stream(inputs), inputs=entering[-1])
    text = inputs.table.modality[0] == 0
    for layer, (one, other) in enumerate(zip(*entering, strict=True)):
        same = torch.equal(one[0, text], other[0, text])
        assert same == (layer <= first), f"layer {layer}"


@lawful
def test_every_layer_reads_the_same_tokens():
    """Media rows leave each layer as they entered, before the entry and after it."""
    model, inputs = fresh(LATE).requires_grad_(False), batch(LATE, [SAMPLE])
    entering: list[torch.Tensor] = []
    stream = model.stream(inputs)
    model.decoder(stream, inputs=entering)
    media = inputs.table.modality[0] > 0
    for hidden in entering:
        assert torch.equal(hidden[0, media], stream.embeddings[0, media])


@lawful
def test_permuting_media_tokens_with_their_positions_leaves_text_unchanged():
    model, inputs = fresh(tiny(SLUG)).requires_grad_(False), batch(tiny(SLUG), [SAMPLE])
    text = inputs.table.modality[0] == 0
    expected = model(inputs)[0, text]
    places = (~text).nonzero()[:, 0]
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(3))
    source, position = inputs.source.clone(), inputs.table.position.clone()
    source[0, places] = source[0, places[order]]
    unmoved = replace(inputs, source=source.clone())
    position[0, places] = position[0, places[order]]
    moved = replace(inputs, source=source, table=replace(inputs.table, position=position))
    close(model(moved)[0, text], expected, 1e-5)
    assert float((model(unmoved)[0, text] - expected).abs().max()) > 1e-4


@lawful
def test_a_media_token_saves_query_output_and_feed_forward():
    """Counted: one more token in one more fused layer, against a token in the sequence."""
    answers = SYSTEM.at("paper")
    host = answers.host

    def linear(fusion, latents):
        connector = replace(answers.connector, latents=latents)
        bill = cost(replace(answers, fusion=fusion, connector=connector), text=64)
        parts = [line for line in bill.prefill if line.part == "decoder"]
        return sum(line.dense for line in parts if "attention" not in line.name)

    everything = linear(InSequence(), 65) - linear(InSequence(), 64)
    keys = linear(DelayedKeys(first=0), 65) - linear(DelayedKeys(first=0), 64)
    one = 4 * host.width**2 + 3 * host.width * host.ff_width
    assert everything == host.depth * one
    assert keys == host.depth * 2 * host.width**2
    assert 1 - keys / everything == pytest.approx(0.83, abs=0.005)
    late = linear(answers.fusion, 65) - linear(answers.fusion, 64)
    assert late * 4 == keys * 3, "a quarter of the layers never sees it"


@lawful
def test_rows_that_do_no_work_are_not_computed():
    model, inputs = fresh(LATE).requires_grad_(False), batch(LATE, [SAMPLE])
    received: dict[str, list[int]] = {}
    for layer, block in enumerate(model.decoder.stack.layers):
        for name, module in block.named_modules():
            if isinstance(module, torch.nn.Linear):
                key = f"{layer}.{name.split('.')[-1]}"
                module.register_forward_hook(
                    lambda m, given, out, key=key: received.setdefault(key, []).append(
                        given[0].shape[1]
                    )
                )
    model(inputs)
    text, every = 8, inputs.ids.shape[1]
    for key, counts in received.items():
        late = key.startswith("2.") and key.endswith(("k_proj", "v_proj"))
        assert counts == [every if late else text], key


@lawful
def test_masked_and_row_skipping_runs_agree():
    model, inputs = fresh(LATE).requires_grad_(False), batch(LATE, ragged())
    planned, masked = model(inputs), model(inputs, execution=Execution.MASKED)
    close(planned[real(inputs)], masked[real(inputs)], 1e-5)


@lawful
def test_text_alone_is_the_host():
    model = fresh(LATE).requires_grad_(False)
    inputs = batch(LATE, [(said(6, 1),), (said(4, 2),)])
    assert torch.equal(model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)])


@lawful
def test_the_connector_is_its_equation_and_keeps_the_count_of_one_encoder():
    answers = tiny(SLUG)
    model, inputs = fresh(answers), batch(answers, [SAMPLE])
    connector, features = model.connector, model.encoder(inputs.images)
    made = connector.connect(features).embeddings
    z = connector.latents.unsqueeze(0)
    q = split_heads(connector.to_q(connector.norm(z)), connector.heads)
    parts = zip(features.tokens.chunk(2, -1), connector.norms, connector.to_kv, strict=True)
    total = z
    for share, norm, to_kv in parts:
        k, v = (split_heads(x, connector.heads) for x in to_kv(norm(share)).chunk(2, -1))
        seen = torch.ones(1, z.shape[1], share.shape[1], dtype=torch.bool)
        total = total + connector.to_out(merge_heads(attend_slowly(q, k, v, seen)))
    close(made, connector.proj(total), 1e-5)
    weights = list(connector.parameters())
    got, expected = (
        torch.autograd.grad(out.square().sum(), weights, retain_graph=True)
        for out in (made, connector.proj(total))
    )
    for one, other in zip(got, expected, strict=True):
        close(one, other, 1e-4)
    assert made.shape[1] == answers.connector.latents == 7
