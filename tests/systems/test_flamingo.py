"""The card of 069 flamingo."""

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, host_of, ragged, reading_of, said, tiny

from chiasm.assemble import build
from chiasm.fusion.gated import GatedBlock
from chiasm.spec import Scale, geometry
from chiasm.stream import Features, Memory
from chiasm.training.freezing import freeze
from chiasm.visibility import PrecedingItem, materialise

SLUG = "flamingo"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("scale", ["nano", "tiny"])
def test_at_the_start_it_is_its_host_bit_for_bit(scale):
    answers = tiny(SLUG) if scale == "tiny" else SYSTEM.at(scale)
    model = build(answers).eval()
    inputs = batch(answers, ragged())
    assert inputs.images is not None
    assert torch.equal(model(inputs), host_of(model)(inputs))
    for slot in model.decoder.stack.before.values():
        assert slot.attention_gate.tolist() == slot.feed_forward_gate.tolist() == [0.0]


@lawful
def test_frozen_weights_stay_bit_identical_over_steps():
    """Under the stage of the paper: resampler and gated blocks learn, nothing else."""
    (stage,) = SYSTEM.at(Scale.PAPER).teaching.stages
    model, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    freeze(model, stage.trained)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model.loss(inputs).backward()
        optimiser.step()
    moved = {name for name, t in model.state_dict().items() if not torch.equal(t, before[name])}
    assert moved == {
        name
        for name in before
        if name.startswith(("connector.", "decoder.stack.before.", "decoder.prologue."))
    }


def read(block: GatedBlock, hidden, inputs, tokens):
    memory = Memory(tokens, inputs.memory)
    permission = materialise(PrecedingItem(), inputs.table, inputs.memory)
    reading = reading_of(inputs.table, memory=memory, source=inputs.source, permission=permission)
    return block.read(hidden, reading, permission)


@lawful
def test_text_reads_the_last_image_before_it_directly():
    """One block: another first image changes what lies between the images, and no other row."""
    answers = tiny(SLUG)
    sample = (said(2, 1), Picture(1, 30, 50), said(3, 2), Picture(2, 9, 9), said(4, 3))
    inputs = batch(answers, [sample])
    generator = torch.Generator().manual_seed(0)
    block = fresh(answers).decoder.stack.before["0"]
    count = geometry(answers, (30, 50)).tokens
    hidden = torch.randn(1, 9, answers.host.width, generator=generator)
    tokens = torch.randn(1, 2 * count, answers.encoder.width, generator=generator)
    other = tokens.clone()
    other[:, :count] = torch.randn(1, count, answers.encoder.width, generator=generator)
    one, two = read(block, hidden, inputs, tokens), read(block, hidden, inputs, other)
    assert bool((one[:, :2] == 0).all()), "before any image the output is 0"
    assert not bool((one[:, 2:5] == two[:, 2:5]).all(-1).any())
    assert torch.equal(one[:, 5:], two[:, 5:])
    assert bool((one[:, 5:] != 0).any())


@lawful
def test_taught_on_5_images_it_runs_on_32():
    answers = tiny(SLUG)

    def showing(images: int):
        pieces = [(Picture(n, 20, 20), said(2, n)) for n in range(images)]
        return tuple(piece for pair in pieces for piece in pair)

    model = build(answers).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    few = batch(answers, [(*showing(5), *ragged()[1])])
    model.loss(few).backward()
    optimiser.step()
    logits = model.eval()(batch(answers, [showing(32)]))
    assert logits.shape == (1, 64, answers.host.vocabulary)
    assert bool(logits.isfinite().all())


@lawful
@pytest.mark.parametrize("tokens", [1, 37, 576, 8 * 576])
def test_the_resampler_gives_64_latents_for_any_number_of_features(tokens):
    model = on_meta(SYSTEM.at(Scale.PAPER))
    features = Features(torch.empty(2, tokens, 1024, device="meta"), (1, tokens))
    assert model.connector.connect(features).embeddings.shape == (2, 64, 1024)
    assert SYSTEM.at(Scale.PAPER).connector.count((1, tokens)) == 64


@lawful
def test_every_fourth_layer_of_the_7b_host_reads():
    stack = on_meta(SYSTEM.at(Scale.PAPER)).decoder.stack
    assert [int(layer) for layer in stack.before] == list(range(0, 32, 4))


@lawful
def test_images_take_no_rows_of_their_own():
    inputs = batch(tiny(SLUG), ragged())
    assert not bool((inputs.table.modality > 0).any())
    assert inputs.table.item[2, :2].tolist() == [0, 0]
    assert inputs.table.item[2, -1].item() == 2
