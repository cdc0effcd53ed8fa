"""The card of 142 llava-mini."""

import pytest
import torch
from tests.systems.card import Permuted, builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, Text, batch, close, fresh, said, tiny, words
from torch import Tensor

from chiasm.assemble import build
from chiasm.compression import query
from chiasm.layers import sine_positions
from chiasm.spec import Scale, geometry
from chiasm.spec.reading import Execution
from chiasm.stream import Role

SLUG = "llava-mini"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

PATCHES = 15


def sample(answer: int = 4):
    return (
        said(2, 1),
        Picture(1, 30, 50),
        said(3, 2),
        said(1, 3, Role.TAG),
        said(2, answer, Role.ASSISTANT),
    )


def fused(model, inputs) -> tuple[Tensor, Tensor]:
    """The stream before and after the pre-fusion."""
    stream = model.stream(inputs)
    return stream.embeddings, model.decoder.prologue(stream, Execution.PLANNED).embeddings


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_hosts_prefill_holds_text_and_kept_tokens_only():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [sample()])
    rows: dict[str, int] = {}
    first, before = model.decoder.stack.layers[0], model.decoder.prologue.stack.layers[0]
    first.register_forward_hook(lambda m, given, out: rows.update(host=out.shape[1]))
    before.register_forward_hook(lambda m, given, out: rows.update(fusion=out.shape[1]))
    model(inputs)
    text = 2 + 3 + 1 + 2
    assert rows == {"host": text + 1, "fusion": PATCHES + text + 1}
    plan = geometry(SYSTEM.at(Scale.PAPER), (480, 640))
    assert (plan.tokens, plan.kept, plan.placeholders) == (576, 1, 1)


@lawful
def test_permuting_patches_with_their_positions_keeps_the_same_tokens(monkeypatch):
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [sample()])
    features = model.encoder(inputs.images)
    kept = model.compressor.keep(features).tokens
    order = torch.randperm(PATCHES, generator=torch.Generator().manual_seed(1))
    shuffled = Permuted(model.encoder, order)(inputs.images)
    alone = model.compressor.keep(shuffled).tokens
    assert float((alone - kept).detach().abs().max()) > 1e-5

    def moved(rows: int, columns: int, width: int) -> Tensor:
        table = sine_positions(rows, columns, width)
        return table[order] if rows * columns == PATCHES else table

    monkeypatch.setattr(query, "sine_positions", moved)
    close(model.compressor.keep(shuffled).tokens, kept, 1e-6)


@lawful
def test_answers_never_reach_the_pre_fusions_output():
    """Nor a later turn's rows there; answers themselves keep their embeddings."""
    model = fresh(tiny(SLUG))
    later = (Text(words(3, 7), turn=1), Text(words(1, 8), Role.TAG, turn=1))
    one, other = (batch(tiny(SLUG), [(*sample(answer), *later)]) for answer in (4, 5))
    raw, here = fused(model, one)
    _, there = fused(model, other)
    answers = one.table.role == int(Role.ASSISTANT)
    assert int(answers.sum()) == 2
    assert torch.equal(here[~answers], there[~answers])
    assert torch.equal(here[answers], raw[answers])
    assert not bool((here[~answers] == raw[~answers]).all(-1).any())


@lawful
def test_text_reads_the_patches_before_the_host_does():
    """Even text before the image: the patches come first in the fused row."""
    model = fresh(tiny(SLUG))
    other = (said(2, 1), Picture(2, 30, 50), *sample()[2:])
    _, here = fused(model, batch(tiny(SLUG), [sample()]))
    _, there = fused(model, batch(tiny(SLUG), [other]))
    assert not bool((here[0, :-2] == there[0, :-2]).all(-1).any())


@lawful
def test_pre_fusion_adds_810m_parameters():
    model = on_meta(SYSTEM.at(Scale.PAPER))
    assert count(model, "fusion") == 4 * 202_383_360 == 809_533_440


@lawful
def test_patches_and_kept_tokens_share_one_projector():
    model = build(tiny(SLUG)).eval()
    media = model.media(batch(tiny(SLUG), [sample()]))
    features = model.encoder(batch(tiny(SLUG), [sample()]).images)
    expected = model.connector.connect(features).embeddings
    assert torch.equal(media.memory.tokens, expected)
    kept = model.connector.connect(model.compressor.keep(features)).embeddings
    assert torch.equal(media.entering, kept)
