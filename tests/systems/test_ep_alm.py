"""The card of 209 ep-alm."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import (
    Picture,
    batch,
    close,
    close_gradients,
    cut,
    fresh,
    gradients,
    host_of,
    ragged,
    real,
    said,
    tiny,
)

from chiasm.backbone import Execution, GrowingCache
from chiasm.connectors import ClassTokens
from chiasm.cost import count as cost
from chiasm.encoders import Levels
from chiasm.fusion import LateClassTokens
from chiasm.lineages.hosts import learned_places
from chiasm.positions import WordsAlone
from chiasm.stream import Modality, Role

SLUG = "ep-alm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
LATE = LateClassTokens(first=2, last=6, levels=2, prompts=3)
DEPTH = 7


def deep(fusion=LATE, *, learned_table=False):
    """Seven layers: two before the entry, two for each level, one behind the last."""
    answers = tiny(SLUG)
    host = replace(answers.host, depth=DEPTH)
    return replace(
        answers,
        host=learned_places(host, 211) if learned_table else host,
        fusion=fusion,
        positions=WordsAlone(learned=fusion.prompts),
    )


SAMPLE = (Picture(1, 30, 50), said(3, 1), said(1, 2, Role.TAG), said(4, 3, Role.ASSISTANT))
OTHER = (Picture(2, 30, 50), *SAMPLE[1:])
TWO = (Picture(1, 30, 50), said(2, 1), Picture(2, 24, 40), *SAMPLE[1:])


def entering(model, inputs):
    """What enters each layer, before the slots, and the last states."""
    states: list[torch.Tensor] = []
    last = model.decoder(model.stream(inputs), inputs=states)
    return [*states, last]


def kinds(inputs):
    """The pictures' rows, the soft prompt's and the text's."""
    modality = inputs.table.modality
    return tuple(
        (modality == int(kind)) & inputs.table.valid
        for kind in (Modality.IMAGE, Modality.LEARNED, Modality.TEXT)
    )


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_what_learns_is_the_shared_map_and_the_soft_prompt():
    answers = SYSTEM.at("paper")
    model = on_meta(answers)
    assert count(model, "connector") == 768 * 2560 + 2560 == 1_968_640
    assert count(model, "fusion") == 10 * 2560 == 25_600
    [stage] = answers.teaching.stages
    assert stage.trained == ("connector", "fusion")
    learns = count(model, *stage.trained)
    assert learns == 1_994_240 and learns / count(model) < 0.01
    assert dict(stage.rates)["fusion"] * stage.learning_rate == pytest.approx(1e-3)


@lawful
def test_layers_before_the_entry_do_not_depend_on_the_picture():
    answers = deep()
    model = fresh(answers).requires_grad_(False)
    (one, inputs), (other, _) = (
        (entering(model, held), held) for held in (batch(answers, [s]) for s in (SAMPLE, OTHER))
    )
    words = ~kinds(inputs)[0]
    for layer, (here, there) in enumerate(zip(one, other, strict=True)):
        same = torch.equal(here[words], there[words])
        assert same == (layer <= LATE.first), f"layer {layer}"


@lawful
@pytest.mark.parametrize("learned_table", [False, True])
def test_without_a_prompt_the_first_layers_are_the_hosts_own(learned_table):
    """Positions included: the row that enters later moves no word."""
    answers = deep(replace(LATE, prompts=0), learned_table=learned_table)
    model, inputs = fresh(answers).requires_grad_(False), batch(answers, [SAMPLE])
    words = kinds(inputs)[2][0]
    alone = batch(answers, [SAMPLE[1:]])
    states, plain = entering(model, inputs), entering(host_of(model), alone)
    for layer in range(DEPTH + 1):
        assert torch.equal(states[layer][0, words], plain[layer][0]) == (layer <= LATE.first)


@lawful
def test_the_sequence_is_one_row_longer_from_the_entry_on():
    """Counted in every projection: T words, then T + 1 keys, at last T + 1 rows of everything."""
    answers = deep()
    model, inputs = fresh(answers).requires_grad_(False), batch(answers, [SAMPLE])
    received: dict[str, int] = {}
    for layer, block in enumerate(model.decoder.stack.layers):
        for name, module in block.named_modules():
            if isinstance(module, torch.nn.Linear):
                key = f"{layer}.{name.split('.')[-1]}"
                module.register_forward_hook(
                    lambda m, given, out, key=key: received.update({key: given[0].shape[1]})
                )
    model(inputs)
    words = int((~kinds(inputs)[0]).sum())
    assert words == inputs.ids.shape[1] - 1 == 8 + LATE.prompts
    for key, rows in received.items():
        layer, name = int(key.split(".")[0]), key.split(".")[1]
        keys = layer >= LATE.first and name in ("k_proj", "v_proj")
        assert rows == words + (keys or layer >= LATE.last - 1), key


@lawful
@pytest.mark.parametrize("sample", [SAMPLE, TWO], ids=["one", "two"])
def test_every_layer_reads_the_class_token_of_its_level(sample):
    """Shallow to deep, two layers each; a second picture has tokens of its own."""
    answers = deep()
    model, inputs = fresh(answers).requires_grad_(False), batch(answers, [sample])
    features = model.encoder(inputs.images).tokens[:, 0]
    shallow, deepest = (model.connector.proj(part) for part in features.chunk(2, -1))
    media = kinds(inputs)[0]
    seen: dict[int, torch.Tensor] = {}
    for layer, block in enumerate(model.decoder.stack.layers):
        block.register_forward_hook(
            lambda m, given, out, layer=layer: seen.update({layer: given[0]})
        )
    model(inputs, execution=Execution.MASKED)
    for layer, expected in ((2, shallow), (3, shallow), (4, deepest), (5, deepest)):
        # Groups are contiguous in storage, in the order of the rows.
        found = seen[layer][0]
        for token in expected:
            near = (found - token).abs().amax(-1).min()
            assert float(near) < 1e-6, f"layer {layer}"
    assert int(media.sum()) == len(features)


@lawful
def test_behind_the_last_level_the_row_sees_itself_alone():
    """It would else hand later words on to earlier ones."""
    answers = deep()
    model = fresh(answers).requires_grad_(False)
    changed = (*SAMPLE[:-1], said(4, 9, Role.ASSISTANT))
    states = [entering(model, batch(answers, [s])) for s in (SAMPLE, changed)]
    media = kinds(batch(answers, [SAMPLE]))[0]
    for layer in range(DEPTH + 1):
        assert torch.equal(states[0][layer][media], states[1][layer][media]), layer


@lawful
def test_a_changed_answer_does_not_alter_earlier_logits():
    """Nor does a further word: every row before it keeps its logits, in every layer's reach."""
    answers = deep()
    model = fresh(answers).requires_grad_(False)
    changed = (*SAMPLE[:-1], said(4, 9, Role.ASSISTANT))
    one, other = (batch(answers, [s]) for s in (SAMPLE, changed))
    differ = int((one.ids != other.ids)[0].nonzero().min())
    before, after = model(one)[0], model(other)[0]
    assert torch.equal(before[:differ], after[:differ])
    assert not torch.equal(before[differ], after[differ])


@lawful
def test_the_picture_reaches_every_word_behind_it():
    """So that independence above says something."""
    answers = deep()
    model = fresh(answers).requires_grad_(False)
    one, other = (batch(answers, [s]) for s in (SAMPLE, OTHER))
    words = kinds(one)[2][0]
    apart = (model(one) - model(other))[0, words].abs().amax(-1)
    assert bool((apart > 1e-4).all())


@lawful
def test_the_soft_prompt_enters_as_words_do():
    """Its rows become its vectors at the first layer, and words count behind them."""
    answers = deep()
    model, inputs = fresh(answers), batch(answers, [TWO])
    media, learned, words = (kind[0] for kind in kinds(inputs))
    rows = model.decoder.stack.before["0"].prompt
    stream = model.stream(inputs)
    run = model.decoder.begin(stream)
    model.decoder.stack.advance(run, 1)
    prompted = replace(
        stream,
        embeddings=stream.embeddings.masked_scatter(
            learned[None, :, None], rows.repeat(2, 1)[None]
        ),
        source=None,
        memory=None,
    )
    plain = model.decoder.begin(prompted)
    model.decoder.stack.advance(plain, 1)
    close(run.restored(run.hidden), plain.restored(plain.hidden), 1e-6)
    assert inputs.table.position[0, media, 0].tolist() == [0, 0]
    counted = inputs.table.position[0, learned | words, 0].tolist()
    assert counted == list(range(len(counted)))
    [gradient] = torch.autograd.grad(model.loss(inputs), rows)
    assert bool((gradient.abs().amax(-1) > 0).all())


@lawful
@pytest.mark.parametrize("fusion", [LATE, replace(LATE, prompts=0), replace(LATE, levels=4)])
def test_masked_and_row_skipping_runs_agree(fusion):
    """In values and gradients, also where a picture has more tokens than rows."""
    answers = deep(fusion)
    encoder = replace(answers.encoder, taps=tuple(range(3))[-fusion.levels :])
    if fusion.levels == 4:
        encoder = replace(answers.encoder, taps=(0, 1, 1, 2))
    answers = replace(answers, encoder=encoder, connector=ClassTokens(levels=fusion.levels))
    assert isinstance(encoder, Levels)
    model, inputs = fresh(answers), batch(answers, [*ragged(), TWO])
    held, found = real(inputs), []
    for execution in Execution:
        model.zero_grad()
        logits = model(inputs, execution=execution)[held]
        logits.square().mean().backward()
        found.append((logits.detach(), gradients(model)))
    close(found[0][0], found[1][0], 1e-5)
    close_gradients(found[0][1], found[1][1], 1e-5)


@lawful
@pytest.mark.parametrize("side", ["left", "right"])
def test_cached_decoding_of_a_sequence_that_grew(side):
    answers = deep(learned_table=True)
    model, inputs = (
        fresh(answers).requires_grad_(False),
        batch(answers, [*ragged(), TWO], side=side),
    )
    rows, cache = inputs.ids.shape[1], GrowingCache()
    parts = [slice(0, rows - 2), slice(rows - 2, rows - 1), slice(rows - 1, rows)]
    got = torch.cat(
        [model(cut(inputs, part, media=part.start == 0), cache=cache) for part in parts], 1
    )
    close(got[real(inputs)], model(inputs)[real(inputs)], 1e-5)


@lawful
def test_the_bill_counts_the_row_where_it_works():
    """One row's keys and values in layers 19 to 29, all of its work in 30 and 31."""
    answers = SYSTEM.at("paper")
    host = answers.host

    def linear(fusion):
        bill = cost(replace(answers, fusion=fusion), name="", text=64)
        return {
            layer: sum(
                line.dense
                for line in bill.prefill
                if line.name.startswith(f"layer {layer} ") and not line.name.endswith("attention")
            )
            for layer in range(host.depth)
        }

    works = linear(answers.fusion)
    word = (4 * host.width**2 + 2 * host.width * host.ff_width) * (64 + 10)
    row = 4 * host.width**2 + 2 * host.width * host.ff_width
    for layer, macs in works.items():
        late = 2 * host.width**2 if layer < 30 else row
        assert macs == word + (late if layer >= 19 else 0), layer
