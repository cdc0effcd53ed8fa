"""The card of 039 blitext: prompts of a text, and tokens that are drawn to them."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.errors import Misuse
from chiasm.prompting import MASK, PromptFormer, quantisation, taught_words
from chiasm.spec import geometry
from chiasm.stream import Role

SLUG = "blitext"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

PROMPTS, WIDTH = 7, 29
SIZES = PromptFormer(prompts=PROMPTS, width=12, depth=2, heads=3, ff_width=17, features=5)


def caption(words: int, seed: int, *, picture: int | None = None):
    shown = () if picture is None else (Picture(picture, 30, 50),)
    return (*shown, said(1, 90, Role.TAG), said(words, seed, Role.ASSISTANT))


TEXTS = [caption(4, 1), caption(9, 2), caption(2, 3)]
PAIRS = [caption(4, 1, picture=1), caption(9, 2, picture=2), caption(3, 3)]


def taught(former=SIZES, seed: int = 3):
    """A frozen model and a P-Former whose every parameter matters."""
    model = fresh(tiny(SLUG)).requires_grad_(False)
    torch.manual_seed(seed)
    made = former.build(model.answers.host)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name != "temperature":
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return model, made


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@pytest.mark.evidence(slug=SLUG, grade="matches")
def test_the_q_former_equals_transformers_blip_2s():
    """The connector is MMICL's, which is held against that class in values and gradients."""
    mmicl = pytest.importorskip("tests.systems.test_mmicl")
    connector, width = SYSTEM.at("paper").connector, SYSTEM.at("paper").encoder.width
    assert connector == mmicl.SYSTEM.at("paper").connector and width == 1408
    mmicl.test_the_q_former_equals_blip_2s_in_values_and_gradients()


@lawful
def test_the_published_sizes():
    answers = SYSTEM.at("paper")
    assert geometry(answers, (480, 640)).placeholders == 32
    model = on_meta(answers)
    assert model.answers.teaching.stages[0].trained == ("connector", "fusion")
    with torch.device("meta"):
        former = PromptFormer().build(answers.host)
    sizes = {name: p.numel() for name, p in former.named_parameters()}
    layers = 12 * (4 * (768 + 1) * 768 + (768 + 1) * 3072 + (3072 + 1) * 768 + 4 * 768)
    tables = (50_272 + 3 + 512 + 2 + 2) * 768
    assert sum(n for name, n in sizes.items() if name.startswith("reader.")) == layers + tables
    assert sizes["spread.weight"] == 768 * 32 * 768
    assert sizes["to_host.weight"] == 768 * 2560


@lawful
def test_answering_runs_no_p_former():
    """The model is BLIP-2 itself: encoder, Q-Former, map, host."""
    model = on_meta(SYSTEM.at("paper"))
    own = 768 * 32 + 2 * 768 + (768 + 1) * 2560
    each = 4 * (768 + 1) * 768 + 2 * 768
    cross = 2 * (768 + 1) * 768 + 2 * (1408 + 1) * 768 + 2 * 768
    think = (768 + 1) * 3072 + (3072 + 1) * 768 + 2 * 768
    assert count(model, "connector") == own + 12 * (each + think) + 6 * cross
    assert not any("prompt" in name or "former" in name for name in model.state_dict())


@lawful
def test_the_first_stage_changes_neither_host_nor_vocabulary():
    """And looks at no image; all three terms teach the P-Former."""
    model, former = taught()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = batch(tiny(SLUG), TEXTS)
    assert inputs.images is None and inputs.memory is None
    optimiser = torch.optim.AdamW(former.parameters(), lr=3e-3)
    seen: list[dict[str, float]] = []
    for _ in range(25):
        torch.manual_seed(0)
        losses = former.losses(model, inputs)
        seen.append({name: float(loss.detach()) for name, loss in losses.items()})
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    assert all(seen[-1][name] < seen[0][name] for name in ("text", "words", "apart")), seen
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    moved = {name for name, p in former.named_parameters() if p.grad is not None and p.grad.any()}
    unmoved = {name for name, _ in former.named_parameters()} - moved
    # A bias of all keys alike changes no softmax; further places have no word.
    assert all("key.bias" in name for name in unmoved), unmoved


@lawful
def test_a_model_that_would_learn_is_refused():
    model, former = taught()
    model.requires_grad_(True)
    with pytest.raises(Misuse, match="freeze the model first"):
        former.losses(model, batch(tiny(SLUG), TEXTS))
    with pytest.raises(Misuse, match="label some words"):
        taught_words(batch(tiny(SLUG), [(said(3, 1),)]))


@lawful
def test_words_get_no_gradient_of_the_distance_to_them():
    generator = torch.Generator().manual_seed(4)
    prompts = torch.randn(2, 3, 5, generator=generator, requires_grad=True)
    words = torch.randn(11, 5, generator=generator, requires_grad=True)
    loss = quantisation(prompts, words)
    loss.backward()
    assert words.grad is None and bool(prompts.grad.any())
    rows = prompts.detach().flatten(0, 1)
    nearest = [min(words, key=lambda word: float((row - word).square().sum())) for row in rows]
    close(loss, F.mse_loss(rows, torch.stack(nearest)), 1e-6)


@lawful
def test_a_text_is_read_up_to_its_prompts_and_padding_adds_nothing():
    _, former = taught()
    words, valid = taught_words(batch(tiny(SLUG), TEXTS))
    assert valid.sum(1).tolist() == [4, 9, 2]
    prompts = former(words, valid)
    assert prompts.shape == (3, PROMPTS, WIDTH)
    close(former(words[:1, :4], valid[:1, :4])[0], prompts[0], 1e-5)
    other = words.clone()
    other[1, PROMPTS - 1] += 1
    assert torch.equal(former(other, valid), prompts)
    other[1, PROMPTS - 2] += 1
    assert not torch.equal(former(other, valid)[1], prompts[1])


@lawful
def test_a_quarter_of_the_words_is_hidden_and_no_padding():
    _, former = taught()
    words = torch.ones(50, 80, dtype=torch.long)
    valid = torch.arange(80).expand(50, 80) < 60
    torch.manual_seed(6)
    hidden = former.hidden_from(words, valid)
    masked = hidden == former.words + MASK
    assert not bool(masked[~valid].any()) and bool((hidden[~masked] == 1).all())
    assert float(masked[valid].float().mean()) == pytest.approx(0.25, abs=0.02)


@lawful
def test_features_are_told_apart_from_every_other_text():
    """Cross-entropy of the similarities, a tenth of the target spread over all texts."""
    model, former = taught()
    inputs = batch(tiny(SLUG), TEXTS)
    torch.manual_seed(1)
    got = former.losses(model, inputs)["apart"]
    torch.manual_seed(1)
    words, valid = (value[:, : PROMPTS - 1] for value in taught_words(inputs))
    state = former.read(former.hidden_from(words, valid), valid)
    features = F.normalize(former.to_features(state), dim=-1)
    scores = features @ features.T / former.temperature
    close(got, F.cross_entropy(scores, torch.arange(3), label_smoothing=0.1), 1e-5)


def pulled(weight: float):
    """Both losses of pairs and the connector's gradients."""
    model, former = taught()
    connector = model.connector.requires_grad_(True)
    losses = former.aligned(model, batch(tiny(SLUG), PAIRS), weight=weight)
    sum(losses.values()).backward()
    assert all(p.grad is None for p in former.parameters())
    return losses, {n: p.grad.clone() for n, p in connector.named_parameters()}


@lawful
def test_with_a_weight_of_0_it_is_blip_2():
    losses, gradients = pulled(0.0)
    model = fresh(tiny(SLUG)).requires_grad_(False)
    connector = model.connector.requires_grad_(True)
    plain = model.loss(batch(tiny(SLUG), PAIRS))
    plain.backward()
    close(losses["text"], plain, 1e-6)
    assert float(losses["prompts"]) == 0.0
    for name, parameter in connector.named_parameters():
        close(gradients[name], parameter.grad, 1e-5)


@lawful
def test_tokens_are_drawn_to_the_prompts_of_their_caption():
    """The mean squared distance, in proportion to the weight; the last sample has no image."""
    losses, _ = pulled(1.0)
    model, former = taught()
    inputs = batch(tiny(SLUG), PAIRS)
    tokens = model.stream(inputs).embeddings[inputs.source >= 0].unflatten(0, (2, PROMPTS))
    ideal = former(*taught_words(inputs))[:2]
    close(losses["prompts"], (tokens - ideal).square().mean(), 1e-5)
    close(pulled(3.0)[0]["prompts"], 3.0 * losses["prompts"], 1e-5)


@lawful
def test_images_of_another_number_of_rows_are_refused():
    model, _ = taught()
    former = replace(SIZES, prompts=PROMPTS + 1).build(model.answers.host)
    with pytest.raises(Misuse, match="7 rows, a text has 8 prompts"):
        former.aligned(model, batch(tiny(SLUG), PAIRS))
