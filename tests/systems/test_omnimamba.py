"""The card of 015 omnimamba; its head alone is tested in `tests/heads`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import batch, fresh, ragged, real, said, shared_model, tiny
from torch import Tensor

from chiasm.assemble import build
from chiasm.backbone import GrowingCache, StaticCache
from chiasm.coding import code_loss, draw_codes
from chiasm.cost import count as cost
from chiasm.decoding import Sampling
from chiasm.experts import SharedWeights
from chiasm.heads import TextHead
from chiasm.model import Model
from chiasm.spec.slots import Site

SLUG = "omnimamba"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
ROWS, CODES = 7, 27


def captions() -> tuple[Tensor, Tensor]:
    """Three captions of 5, 2 and 1 words, padded on the left."""
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(0, 101, (3, 5), generator=generator)
    valid = torch.arange(5) >= torch.tensor([[0], [3], [4]])
    return words, valid


def pictures() -> Tensor:
    return torch.randint(0, CODES, (3, ROWS), generator=torch.Generator().manual_seed(1))


def gradients(model: Model, loss: Tensor) -> dict[str, Tensor]:
    loss.backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }


def deltas(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the low-rank matrices `[task, …]`."""
    return {name: tensor for name, tensor in found.items() if ".experts." in name}


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_deltas_of_a_task_have_the_published_size():
    model = on_meta(SYSTEM.at("paper"))
    assert 8 * (2048 + 8512) * 48 == 4_055_040
    assert count(model, "experts") == 2 * 4_055_040
    assert model.answers.host.mixer.projected == 8512
    adapter = SYSTEM.at("paper").experts.adapters[0]
    assert adapter.sites == (Site.MIXER_IN,) and adapter.alpha / adapter.rank == 4


@lawful
def test_understanding_teaches_nothing_of_drawing():
    model = fresh(tiny(SLUG))
    found = gradients(model, model.loss(batch(tiny(SLUG), ragged())))
    assert deltas(found)
    for gradient in deltas(found).values():
        assert bool((gradient[0] != 0).any()) and bool((gradient[1] == 0).all())
    drawing = {n: g for n, g in found.items() if n.startswith("head.pictures.")}
    assert drawing and all(bool((g == 0).all()) for g in drawing.values())
    assert bool((found["decoder.stack.layers.0.mixer.in_proj.weight"] != 0).any())


@lawful
def test_drawing_teaches_nothing_of_understanding():
    model = fresh(tiny(SLUG))
    words, valid = captions()
    found = gradients(model, code_loss(model, words, valid, pictures()))
    for gradient in deltas(found).values():
        assert bool((gradient[0] == 0).all()) and bool((gradient[1] != 0).any())
    for name, gradient in found.items():
        if name.startswith(("connector.", "encoder.")):
            assert bool((gradient == 0).all()), name
        if name.startswith("head.pictures."):
            assert bool((gradient != 0).any()), name


@lawful
def test_at_first_both_tasks_are_the_base_model():
    """Without the deltas, and without the other vocabulary, bit for bit."""
    model = build(tiny(SLUG)).eval()
    base = build(replace(tiny(SLUG), experts=SharedWeights())).eval()
    base.load_state_dict({n: model.state_dict()[n] for n in base.state_dict()})
    inputs, (words, valid) = batch(tiny(SLUG), ragged()), captions()
    assert torch.equal(model(inputs), base(inputs))
    one, other = (code_loss(m, words, valid, pictures()) for m in (model, base))
    assert torch.equal(one, other)
    text = build(replace(tiny(SLUG), experts=SharedWeights(), head=TextHead())).eval()
    text.load_state_dict({n: model.state_dict()[n] for n in text.state_dict()})
    assert torch.equal(text(inputs), base(inputs))


@lawful
def test_the_task_adds_exactly_one_pair():
    """Merged by hand into W_in, a task's pair gives what its flag gives."""
    model = fresh(tiny(SLUG)).requires_grad_(False)
    inputs, (words, valid) = batch(tiny(SLUG), ragged()), captions()
    expected = model(inputs), code_loss(model, words, valid, pictures())
    for task in (0, 1):
        base = build(replace(tiny(SLUG), experts=SharedWeights())).eval()
        state = {n: model.state_dict()[n].clone() for n in base.state_dict()}
        for layer in range(tiny(SLUG).host.depth):
            name = f"decoder.stack.layers.{layer}.mixer.in_proj"
            pair = model.get_submodule(f"{name}.experts.0")
            state[f"{name}.weight"] += 4 * pair.b[task] @ pair.a[task]
        base.load_state_dict(state)
        rows = real(inputs)
        apart = (base(inputs)[rows] - expected[0][rows]).abs().max()
        loss_apart = (code_loss(base, words, valid, pictures()) - expected[1]).abs()
        assert (apart < 1e-4) == (task == 0) and (loss_apart < 1e-5) == (task == 1)


@lawful
def test_codes_are_scored_by_their_own_embeddings_and_words_by_theirs():
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), ragged())
    assert model(inputs).shape[-1] == tiny(SLUG).host.vocabulary
    hidden = torch.randn(2, tiny(SLUG).host.width)
    torch.testing.assert_close(
        model.head.codes(hidden), hidden @ model.head.pictures.embed.weight.T
    )
    paper = on_meta(SYSTEM.at("paper"))
    assert paper.head.pictures.embed.weight.shape == (16_384, 2048)
    assert paper.head.lm_head.weight is paper.decoder.embed_tokens.weight


@lawful
def test_what_decoding_holds_is_constant_in_length():
    model, sizes = shared_model(SLUG), []
    words, valid = captions()
    for rows in (1, 5, 16):
        for cache in (GrowingCache(), StaticCache(64)):
            draw_codes(model, words, valid, rows=rows, cache=cache)
            sizes.append(cache.bytes)
    assert len(set(sizes)) == 1
    for longer in (64, 1024):
        assert cost(SYSTEM, text=longer).kv_bytes == cost(SYSTEM, text=8).kv_bytes
    text = {length: GrowingCache() for length in (3, 200)}
    for length, cache in text.items():
        model(batch(tiny(SLUG), [(said(length, 1),)]), cache=cache)
    assert text[3].bytes == text[200].bytes


@lawful
def test_drawing_step_by_step_equals_one_pass():
    """Greedy codes are the arg max of the taught scores behind the same codes, padding or not."""
    model = shared_model(SLUG)
    words, valid = captions()
    drawn = draw_codes(model, words, valid, rows=ROWS)
    assert drawn.shape == (3, ROWS) and int(drawn.max()) < CODES
    for at in range(ROWS):
        other = drawn.clone()
        other[:, at] = (other[:, at] + 1) % CODES
        # Up to the changed code the prefix is the same, and that code was the likeliest.
        cut = slice(0, at + 1)
        assert code_loss(model, words, valid, other[:, cut]) > code_loss(
            model, words, valid, drawn[:, cut]
        )
    for number in range(3):
        own = words[number : number + 1, valid[number]]
        alone = draw_codes(model, own, torch.ones_like(own, dtype=torch.bool), rows=ROWS)
        assert torch.equal(alone[0], drawn[number])


@lawful
def test_drawn_codes_follow_the_seed():
    model, (words, valid) = shared_model(SLUG), captions()
    warm = Sampling(temperature=5.0, seed=3)
    one, same = (draw_codes(model, words, valid, rows=16, sampling=warm) for _ in range(2))
    other = draw_codes(model, words, valid, rows=16, sampling=replace(warm, seed=4))
    assert torch.equal(one, same) and not torch.equal(one, other)


@lawful
def test_both_tasks_are_learnt_by_one_model():
    """A joint step lowers the loss of either task."""
    model = build(tiny(SLUG)).train()
    inputs, (words, valid) = batch(tiny(SLUG), ragged()), captions()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        both = torch.stack([model.loss(inputs), code_loss(model, words, valid, pictures())])
        losses.append(both.detach())
        optimiser.zero_grad()
        both.sum().backward()
        optimiser.step()
    assert bool((losses[-1] < losses[0]).all())
