"""The card of 074 aki: only the mask changes."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, Text, batch, fresh, said, tiny, words

from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.model import Model
from chiasm.spec import Answers, Scale, geometry
from chiasm.stream import Role
from chiasm.visibility import Causal, Everything, Sight, dense_mask

SLUG = "aki"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

LATENTS, QUESTION, ANSWER = 7, 4, 3
MEDIA = slice(2, 2 + LATENTS)
ASKED = slice(MEDIA.stop, MEDIA.stop + QUESTION)


def causal(answers: Answers) -> Answers:
    return replace(answers, visibility=Sight(sequence=Causal(), memory=Everything()))


def sample(question: int = 2, answer: int = 3) -> tuple[Text | Picture, ...]:
    """Prefix, image, question, tag, answer; the arguments choose the words."""
    return (
        said(2, 1, Role.SYSTEM),
        Picture(1, 30, 50),
        said(QUESTION, question),
        said(1, 9, Role.TAG),
        said(ANSWER, answer, Role.ASSISTANT),
    )


def layers_of(model: Model, *pieces: Text | Picture) -> list[torch.Tensor]:
    inputs: list[torch.Tensor] = []
    model.decoder(model.stream(batch(model.answers, [pieces])), inputs=inputs)
    return inputs


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_mask_is_the_published_one():
    """Two visual rows, two of the question, the tag, two of the answer; a rule of order besides."""
    table = batch(tiny(SLUG), [sample()]).table
    rows = torch.tensor([[2, 3, 9, 10, 13, 14, 15]])
    mask = dense_mask(tiny(SLUG).visibility.sequence, table.rows(rows), table.rows(rows))
    assert mask[0].int().tolist() == [
        [1, 0, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1],
    ]


@lawful
def test_an_answer_never_reaches_an_earlier_row():
    model = fresh(tiny(SLUG))
    one = layers_of(model, *sample(answer=3))
    other = layers_of(model, *sample(answer=4))
    for here, there in zip(one, other, strict=True):
        assert torch.equal(here[:, :-ANSWER], there[:, :-ANSWER])
        assert not torch.equal(here[:, -1], there[:, -1])


@lawful
def test_the_question_changes_visual_keys_and_values_and_in_a_causal_model_does_not():
    """Keys and values are made of a layer's input; the first layer's is the image itself."""
    mutual, plain = fresh(tiny(SLUG)), fresh(causal(tiny(SLUG)))
    for model, changes in ((mutual, True), (plain, False)):
        one = layers_of(model, *sample(question=2))
        other = layers_of(model, *sample(question=5))
        assert torch.equal(one[0][:, MEDIA], other[0][:, MEDIA])
        for here, there, block in zip(
            one[1:], other[1:], model.decoder.stack.layers[1:], strict=True
        ):
            for projection in (block.self_attn.k_proj, block.self_attn.v_proj):
                made = [projection(block.input_layernorm(x[:, MEDIA])) for x in (here, there)]
                assert bool((made[0] != made[1]).any()) == changes


@lawful
def test_without_an_answer_tag_the_mask_is_plain_causal():
    """Caption pre-training: what follows the image is what the model is taught to say."""
    caption = (said(2, 1, Role.SYSTEM), Picture(1, 30, 50), said(5, 2, Role.ASSISTANT))
    table = batch(tiny(SLUG), [caption]).table
    mask = dense_mask(tiny(SLUG).visibility.sequence, table, table)[0]
    assert torch.equal(mask, torch.ones_like(mask).tril())


@lawful
def test_an_earlier_turns_image_does_not_see_a_later_question():
    later = (*sample(), Text(words(3, 7), turn=1), Text(words(1, 8), Role.TAG, turn=1))
    table = batch(tiny(SLUG), [later]).table
    mask = dense_mask(tiny(SLUG).visibility.sequence, table, table)[0]
    assert not bool(mask[MEDIA, -4:].any())


@lawful
@pytest.mark.parametrize("scale", list(Scale))
def test_the_rule_adds_no_parameter(scale):
    answers = SYSTEM.at(scale)
    assert count(on_meta(answers)) == count(on_meta(causal(answers)))


@lawful
def test_144_tokens_an_image():
    assert geometry(SYSTEM.at(Scale.PAPER), (480, 640)).placeholders == 144


@lawful
def test_a_prompt_is_cached_with_its_question(tmp_path):
    """Visual keys wait for the question: prompts are neither cut nor packed."""
    assert tiny(SLUG).visibility.sequence.looks_ahead
    turns = (Turn("is it red?", "no"), Turn("is it blue?", "yes"))
    tokenizer = fit_tokenizer([turn.question for turn in turns], 270)
    from PIL import Image

    Image.new("RGB", (40, 24)).save(tmp_path / "black.png")
    example = Example("one", (tmp_path / "black.png",), turns, independent=True)
    for answers, samples in ((tiny(SLUG), 2), (causal(tiny(SLUG)), 1)):
        inputs = Collator(answers, NANO, tokenizer).batch([example], teach=True)
        assert inputs.ids.shape[0] == samples
        assert inputs.images.shape[0] == 1
