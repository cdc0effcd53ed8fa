"""The card of cpe-clip: learned rows for both sides of CLIP, taught in sessions."""

from dataclasses import replace

import pytest
import torch
from tests.embedders.few import card, few, fresh, nano, parameters, taken, teacher, texts
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from chiasm.data.tokenizer import fit_tokenizer
from chiasm.embedders.batches import Batches
from chiasm.embedders.contents import Content, shown, words
from chiasm.errors import Misuse
from chiasm.lineages.dual_encoders import class_sessions, new_share, spans
from chiasm.spec.embedder import registered_embedders

SAID = ("a red circle", "two blue squares and a line", "a dot")


def pair(rows: int):
    """The nano pair of sides with this many rows a layer, and its inputs of three of each."""
    (tower,) = registered_embedders()["cpe-clip"].at("nano").encode
    config = replace(tower.encoder, rows=rows)
    tokenizer = fit_tokenizer(texts(), 512)
    torch.manual_seed(0)
    made = config.build(len(tokenizer)).eval()
    contents = [Content(parts=(words(text),)) for text in SAID]
    contents += [Content(parts=(shown(one.picture),)) for one in few(3)]
    return made, config.reader(tokenizer).read(contents)


@card("cpe-clip")
def test_without_rows_both_sides_are_clips_in_values_and_gradients():
    made, given = pair(0)
    text_config = made.text.model.config
    text_config.projection_dim = made.config.out
    text = CLIPTextModelWithProjection(text_config).eval()
    vision_config = made.image.answer.config
    vision_config.projection_dim = made.config.out
    vision = CLIPVisionModelWithProjection(vision_config).eval()
    for theirs, ours, head, name in (
        (text, made.text.model, made.text_head, "text_model"),
        (vision, made.image.model, made.image_head, "vision_model"),
    ):
        network = getattr(theirs, name)
        getattr(network, name, network).load_state_dict(getattr(ours, name, ours).state_dict())
        (projection,) = (m for n, m in theirs.named_children() if n.endswith("projection"))
        projection.load_state_dict(head.state_dict())
    places = torch.arange(given.ids.shape[1]) <= given.last[:, None]
    said = text(input_ids=given.ids, attention_mask=places.long()).last_hidden_state
    said = text.text_projection(said[torch.arange(3), given.last])
    expected = torch.cat([said, vision(pixel_values=given.pixels).image_embeds])
    found = made(given).tokens[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for theirs, ours in ((text, made.text), (vision, made.image)):
        own = {n.rpartition("layers.")[2]: p for n, p in ours.named_parameters()}
        for name, parameter in theirs.named_parameters():
            if "layers." in name:
                same = own[name.rpartition("layers.")[2]]
                torch.testing.assert_close(parameter.grad, same.grad, rtol=1e-3, atol=1e-4)


@card("cpe-clip")
def test_words_keep_their_rows_and_pictures_gather_two_a_layer():
    made, given = pair(2)
    lengths: dict[str, list[int]] = {"text": [], "image": []}
    for side in lengths:
        for layer in getattr(made, side).model.get_submodule("encoder").layers:
            layer.layer_norm1.register_forward_pre_hook(
                lambda m, args, kept=lengths[side]: kept.append(args[0].shape[1])
            )
    made(given)
    length = given.ids.shape[1]
    assert lengths == {"text": [length + 2] * 2, "image": [1 + 16 + 2, 1 + 16 + 4]}
    # Layer 1's rows of words replace what layer 0 made of its own.
    with torch.no_grad():
        before = made(given).tokens
        made.prompts.rows[1] += 1
        after = made(given).tokens
    assert not torch.allclose(before[:3], after[:3]) and not torch.allclose(before[3:], after[3:])


@card("cpe-clip")
def test_406272_parameters_are_taught_and_one_tensor_serves_both_sides(tmp_path):
    assert parameters("cpe-clip", "paper", "clip.prompts") == 12 * 2 * 512 + 512 * 768 + 768
    assert parameters("cpe-clip", "paper", "clip.prompts") == 406_272
    assert parameters("cpe-clip", "paper") == 149_620_736 + 406_272
    made, given = pair(2)
    for of in (slice(0, 3), slice(3, 6)):
        (grad,) = torch.autograd.grad(made(given).tokens[of].sum(), made.prompts.rows)
        assert bool((grad.abs().sum(-1) > 0).all())
    with pytest.raises(Misuse, match="share no rows"):
        config = made.config
        replace(config, words=replace(config.words, settings=())).build()


@card("cpe-clip")
def test_a_session_learns_at_its_share_of_the_classes_seen():
    assert new_share((60, 5)) == 5 / 65
    sessions = class_sessions(60, 5, 5, rate=0.1, batch=4)
    rates = [stage.learning_rate for stage in sessions]
    assert rates == pytest.approx([0.1, 0.1 * 5 / 65, 0.1 * 5 / 70])
    assert spans(60, 5, 5)[1] == (60 / 70, 65 / 70)
    batches = Batches(sessions=spans(60, *(5,) * 8))
    met = [batches.session(at, 100) for at in range(9)]
    assert [len(one) for one in met] == [60, *(5,) * 8]
    assert [n for one in met for n in one] == list(range(100))


@card("cpe-clip")
def test_a_session_meets_its_own_classes_alone(tmp_path):
    answers = registered_embedders()["cpe-clip"].at("nano")
    embedder = nano("cpe-clip")
    found = []
    for stage in range(3):
        batch = taken(embedder, tmp_path, stage)
        found.append(set(batch.ids))
    own = [
        {pair.id for pair in few() if pair.concept in kinds}
        for kinds in (
            {"kind 0", "kind 1", "kind 2"},
            {"kind 0"},
            {"kind 1", "kind 2"},
        )
    ]
    assert found == own
    none = replace(answers, batches=replace(answers.batches, sessions=((0.0, 0.1),) * 3))
    with pytest.raises(Misuse, match="no pair is of session 0"):
        teacher(fresh(none), tmp_path)._own(0)
    with pytest.raises(ValueError, match="leave them out of sessions"):
        replace(answers.batches, negatives=2)
