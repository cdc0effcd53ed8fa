"""The card of cross-the-gap: queries inverted into the other modality, each by itself."""

import random
import threading
from dataclasses import dataclass, replace

import pytest
import torch
from PIL import Image
from tests.embedders.few import card, few, fresh, nano, parameters, shared

from chiasm.data.pixels import CLIP, Pixels
from chiasm.embedders.alike import together
from chiasm.embedders.batches import PICTURE_TO_VIEW
from chiasm.embedders.building import BuiltEmbedder, prepare
from chiasm.embedders.inverting import entering, invert
from chiasm.embedders.pairs import CaptionedPicture
from chiasm.embedders.stages import (
    FirstToken,
    LastToken,
    LinearHead,
    MeanToken,
    Pictures,
    Sentences,
    TextualInversion,
    VisualInversion,
)
from chiasm.embedders.stages.inverted import spread
from chiasm.embedders.teaching import Teacher
from chiasm.embedders.viewed import View
from chiasm.embedders.within import average_precision, found_within
from chiasm.encoders import TransformersVision, VisionTransformer
from chiasm.errors import Misuse
from chiasm.lineages import embedders as parts
from chiasm.retrieval.embedder import Item, Role
from chiasm.spec.embedder import EmbedderAnswers, registered_embedders
from chiasm.training import Budget

SLUG = "cross-the-gap"
OTI, OVI = TextualInversion(steps=23), VisualInversion(steps=23)
FIND_TEXT, FIND_PICTURES, FIND_ALIKE = 1, 2, 3


def queries(embedder: BuiltEmbedder, task: int, count: int) -> list:
    return [embedder.model.answers.batches.tasks[task].asks(p, 0, task) for p in few(count)]


def targets(embedder: BuiltEmbedder, task: int, count: int) -> torch.Tensor:
    with torch.no_grad():
        return embedder.model(embedder.given(queries(embedder, task, count))).embedding.vectors


@card(SLUG)
@pytest.mark.parametrize(("how", "task"), [(OTI, FIND_PICTURES), (OVI, FIND_ALIKE)])
def test_queries_of_a_batch_are_optimised_independently(how, task):
    embedder = nano(SLUG)
    own = targets(embedder, task, 5).double()
    alone32 = invert(embedder, how, own[3:4].float()).vectors
    beside32 = invert(embedder, how, own.float()).vectors[3:4]
    assert torch.cosine_similarity(alone32, beside32).item() > 1 - 1e-4
    embedder.model.double()
    if how is OVI:  # whose blank picture is read in single precision
        embedder.model.encoders["image"].register_forward_pre_hook(lambda _, x: (x[0].double(),))
    together_ = invert(embedder, how, own).vectors
    for at in (0, 3):
        alone = invert(embedder, how, own[at : at + 1]).vectors[0]
        torch.testing.assert_close(together_[at], alone, rtol=0, atol=1e-7)
    assert (together_[0] - together_[3]).abs().max() > 1e-3


@card(SLUG)
@pytest.mark.parametrize(("how", "task"), [(OTI, FIND_PICTURES), (OVI, FIND_ALIKE)])
def test_the_encoders_are_bit_identical_and_the_loss_falls(how, task):
    embedder = nano(SLUG)
    own = targets(embedder, task, 5)
    embedder.model.train()
    before = {name: one.clone() for name, one in embedder.model.state_dict().items()}
    found = invert(embedder, replace(how, steps=60), own)
    assert all(torch.equal(one, before[name]) for name, one in embedder.model.state_dict().items())
    assert all(one.grad is None for one in embedder.model.parameters())
    assert embedder.model.training
    blocks = found.losses.mean(-1).unflatten(0, (6, 10)).mean(-1).tolist()
    assert blocks == sorted(blocks, reverse=True) and blocks[-1] < 0.8 * blocks[0]
    started = how.start(2, 7)
    assert torch.equal(started[0], started[1]) and 0.01 < float(started.std()) < 0.04


@card(SLUG)
def test_one_pseudo_patch_is_every_patch_before_positions():
    embedder = nano(SLUG)
    encoder = embedder.model.encoders["image"]
    seen = {}
    place = OVI.place(encoder, None)
    learned = torch.randn(3, 1, place.width, generator=torch.Generator().manual_seed(0))
    with entering(place, learned), torch.no_grad():
        handle = place.module.register_forward_hook(lambda *told: seen.update(maps=told[2]))
        encoder(torch.randn(3, 3, 64, 64))
        handle.remove()
    maps = seen["maps"].flatten(2)
    assert maps.shape == (3, place.width, 16)
    assert torch.equal(maps, learned.transpose(1, 2).expand_as(maps))
    four = torch.arange(4.0).reshape(1, 4, 1)
    spoken = spread(torch.empty(0), torch.empty(1, 1, 2, 5), four).flatten().tolist()
    assert spoken == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]  # floor(4 j / 10)
    with pytest.raises(Misuse, match="11 pseudo-patches for 10 places"):
        spread(torch.empty(0), torch.empty(1, 1, 2, 5), torch.empty(1, 11, 1))


@card(SLUG)
def test_pseudo_words_stand_before_positions_at_their_own_places():
    embedder = nano(SLUG)
    how = replace(OTI, count=3)
    place = how.place(embedder.model.encoders["text"], embedder.tokenizers["text"])
    read = embedder.readers["text"].read([how.content()] * 2)
    learned = torch.arange(2 * 3 * place.width).reshape(2, 3, place.width).float()
    before = place.module(read.inputs.ids)
    with entering(place, learned):
        after = place.module(read.inputs.ids)
    changed = (before != after).any(-1)
    assert changed.sum(-1).tolist() == [3, 3]
    assert torch.equal(after[changed].view_as(learned), learned)


@card(SLUG)
def test_queries_of_these_tasks_alone_are_replaced():
    embedder = shared(SLUG)
    tasks = embedder.model.answers.batches.tasks
    assert [task.inverts.turns for task in tasks] == [False, False, True, True]
    held = [tasks[FIND_PICTURES].holds(pair, 0, FIND_PICTURES) for pair in few(2)]
    asked = queries(embedder, FIND_PICTURES, 2)
    own = targets(embedder, FIND_PICTURES, 2)
    found = embedder.embed_contents([*held, *asked]).vectors
    torch.testing.assert_close(found[:2], own, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        found[2:], invert(embedder, tasks[FIND_PICTURES].inverts, found[:2]).vectors
    )
    assert (found[2:] - own).abs().max() > 1e-2
    picture = few()[0].picture.draw()
    told = dict(role=Role.QUERY, task="picture-to-picture")
    by_name = embedder.embed([Item(image=picture)], **told).vectors
    torch.testing.assert_close(by_name, found[2:3], rtol=0, atol=1e-2)
    plain = embedder.embed([Item(image=picture)], role=Role.QUERY).vectors
    torch.testing.assert_close(plain, own[:1], rtol=0, atol=1e-5)


@card(SLUG)
def test_other_threads_embed_as_before():
    embedder = shared(SLUG)
    place = OTI.place(embedder.model.encoders["text"], embedder.tokenizers["text"])
    ids = embedder.readers["text"].read([OTI.content()]).inputs.ids
    before, found = place.module(ids), []
    with entering(place, torch.ones(1, 1, place.width)):
        other = threading.Thread(target=lambda: found.append(place.module(ids)))
        other.start()
        other.join()
        assert not torch.equal(place.module(ids), before)
    assert torch.equal(found[0], before) and torch.equal(place.module(ids), before)


@card(SLUG)
def test_what_cannot_be_inverted_into_is_refused():
    embedder = shared(SLUG)
    tower, words = embedder.model.encoders["text"], embedder.tokenizers["text"]
    with pytest.raises(Misuse, match="no table of words"):
        OTI.place(embedder.model.encoders["image"], words)
    with pytest.raises(Misuse, match="embeds no patches"):
        OVI.place(tower, words)
    with pytest.raises(Misuse, match="is 0 tokens of the tower 'text' where 1"):
        replace(OTI, mark="of the").place(tower, words)
    with pytest.raises(Misuse, match="no tower 'sound'"):
        invert(embedder, replace(OTI, into="sound"), torch.ones(1, 96))


CLIP_WORDS = Sentences(
    model_type="clip_text_model",
    settings=(
        ("hidden_size", 24),
        ("intermediate_size", 31),
        ("num_attention_heads", 3),
        ("num_hidden_layers", 2),
        ("vocab_size", 293),
    ),
    longest=77,
)
CLIP_PATCHES = Pictures(
    encoder=TransformersVision(
        model_type="clip_vision_model",
        settings=(
            ("hidden_size", 24),
            ("image_size", 20),
            ("intermediate_size", 31),
            ("num_attention_heads", 3),
            ("num_hidden_layers", 2),
            ("patch_size", 4),
        ),
        taps=(),
        drop_first=0,
    ),
    pixels=CLIP,
    height=20,
    width_pixels=20,
)


@card(SLUG)
def test_towers_of_clip_are_inverted_both_ways():
    """As the paper scale has them: words and patches of transformers' models."""
    answers = registered_embedders()[SLUG].at("nano")
    head = LinearHead(out=17, bias=False)
    towers = (
        parts.text_tower(CLIP_WORDS, LastToken(), head),
        parts.image_tower(CLIP_PATCHES, FirstToken(), head),
    )
    embedder = fresh(replace(answers, encode=towers))
    for how, task in ((OTI, FIND_PICTURES), (replace(OVI, count=4), FIND_ALIKE)):
        found = invert(embedder, how, targets(embedder, task, 3))
        assert found.learned.shape == (3, how.count, 24)
        assert bool((found.losses[-1] < found.losses[0] - 0.05).all())


@card(SLUG)
def test_published_size_and_settings():
    """CLIP ViT-L/14 as OpenAI has it, its temperature included; steps and rates as released."""
    assert parameters(SLUG, "paper") == 427_616_513
    textual, visual = (
        t.inverts for t in registered_embedders()[SLUG].at("paper").batches.tasks[2:]
    )
    assert (textual.count, textual.steps, visual.count, visual.steps) == (1, 150, 4, 1000)
    for how in (textual, visual):
        assert (how.learning_rate, how.weight_decay, how.deviation) == (0.02, 0.01, 0.02)


@dataclass(frozen=True)
class Dots:
    """Sixteen pixels: four say what is shown, twelve are drawn anew for every picture."""

    pixels: tuple

    def draw(self) -> Image.Image:
        drawn = Image.new("RGB", (4, 4))
        drawn.putdata(self.pixels)
        return drawn


def things(seed: int, each: int) -> list[CaptionedPicture]:
    """Eleven named things, each in pictures that differ in what no name speaks of."""
    kinds, noises = random.Random(0), random.Random(seed)
    found = []
    for number in range(11):
        own = [kinds.randint(-60, 60) for _ in range(12)]
        for copy in range(each):
            noise = [noises.choice((-60, 60)) for _ in range(12)]
            pixels = tuple(
                tuple(128 + (own if at < 4 else noise)[(3 * at + c) % 12] for c in range(3))
                for at in range(16)
            )
            name = f"thing {number}"
            found.append(CaptionedPicture(f"{number}/{copy}", name, Dots(pixels), (name, name)))
    return found


def gained(tasks: tuple[int, ...], scratch) -> tuple[float, float]:
    """Mean average precision among pictures, native and inverted, once these tasks are taught."""
    answers: EmbedderAnswers = registered_embedders()[SLUG].at("nano")
    pixels = Pixels(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    plain = VisionTransformer(patch=2, width=96, depth=0, heads=3, ff_width=7)
    pictures = Pictures(encoder=plain, pixels=pixels, height=4, width_pixels=4)
    towers = (
        answers.encode[0],
        parts.image_tower(pictures, MeanToken(), LinearHead(out=96)),
    )
    batches = replace(answers.batches, staged=(tasks,))
    taught, asked = things(1, 8), things(2, 3)
    named = [pair.texts[0] for pair in taught]
    embedder = prepare(replace(answers, encode=towers, batches=batches), named, 1)
    budget = Budget(samples=4_000 * len(tasks))
    Teacher(embedder=embedder, pairs=taught, budget=budget, out=scratch).run()
    native = found_within(embedder, asked, FIND_PICTURES, native=True)
    return native, found_within(embedder, asked, FIND_PICTURES)


@card(SLUG)
def test_inverting_helps_towers_taught_between_modalities_alone(tmp_path):
    native, inverted = gained((0,), tmp_path / "between")
    assert inverted > native + 0.1
    within, inverted_within = gained((0, 2), tmp_path / "within")
    assert within > native
    assert abs(inverted_within - within) < 0.03


def test_average_precision_is_that_of_the_definition():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 7, (13, 11), generator=generator).float()
    right = torch.rand(13, 11, generator=generator) < 0.4
    right[:, 5] = True
    for row, own, found in zip(scores, right, average_precision(scores, right), strict=True):
        order = sorted(range(11), key=lambda at: (-row[at].item(), bool(own[at])))
        places = [rank for rank, at in enumerate(order, 1) if own[at]]
        expected = sum((n + 1) / rank for n, rank in enumerate(places)) / len(places)
        assert found.item() == pytest.approx(expected, abs=1e-6)


@card(SLUG)
def test_who_looks_for_itself_finds_nothing():
    embedder = shared(SLUG)
    with pytest.raises(Misuse, match="none of 3 pairs shares its name"):
        found_within(embedder, few(3), FIND_PICTURES, native=True)


def test_a_view_is_a_part_that_its_seed_alone_decides():
    picture = few()[0].picture
    first, same, other = (View(picture, seed).draw() for seed in ("a 0", "a 0", "a 1"))
    assert first.tobytes() == same.tobytes() != other.tobytes()
    whole = picture.draw()
    sizes = [View(picture, str(at)).draw().size for at in range(31)]
    assert all(0.35 < w * h / (whole.width * whole.height) <= 1 for w, h in sizes)
    pair = few()[0]
    (asked,), (held,) = (
        PICTURE_TO_VIEW.asks(pair, 0, 0).parts,
        PICTURE_TO_VIEW.holds(pair, 0, 0).parts,
    )
    assert asked.pictures[0] is picture and held.pictures[0] != picture
    told = [("name", asked.pictures), ("name", held.pictures)]
    assert bool(together(told, told).all())
