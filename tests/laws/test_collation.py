"""Laws of the way from examples to inputs: counts, labels, packing and grouping."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.tiny import close, close_gradients, every, fresh, gradients, tiny

from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.spec import Answers, Context, geometry
from chiasm.stream import Modality

TURNS = (
    Turn("what shape is it?", "a circle"),
    Turn("is it red?", "no"),
    Turn("what colour?", "blue"),
)


@pytest.fixture(scope="session")
def tokenizer():
    return fit_tokenizer([f"{turn.question} {turn.answer}" for turn in TURNS], 280)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number, size in enumerate([(50, 30), (17, 21), (64, 64)]):
        pixels = torch.randint(
            0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(number)
        )
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels.byte().numpy()).save(paths[-1])
    return paths


def spoken(slug: str) -> Answers:
    """Tiny answers whose host knows the tokenizer's words, with a sliding window in one layer."""
    answers = tiny(slug)
    windows = (None, 9, None) if answers.host.mixer is None else ()
    host = replace(answers.host, vocabulary=283, windows=windows)
    return replace(answers, host=host, connector=reading_words(answers.connector, 283))


def reading_words(connector: Any, words: int) -> Any:
    """A connector that mixes the host's words mixes as many; one inside another likewise."""
    if hasattr(connector, "table_rows"):
        return replace(connector, table_rows=words)
    inner = getattr(connector, "each", None)
    return connector if inner is None else replace(connector, each=reading_words(inner, words))


def examples(pictures: list[Path], *, independent: bool) -> list[Example]:
    return [
        Example("one", (pictures[0],), TURNS, independent),
        Example("none", (), TURNS[:2], independent),
        Example("two", (pictures[1], pictures[2]), TURNS[1:], independent),
    ]


@pytest.mark.parametrize("slug", every())
def test_rows_are_counted_by_geometry(slug, tokenizer, pictures):
    answers = spoken(slug)
    inputs = Collator(answers, NANO, tokenizer).batch(
        examples(pictures, independent=False), teach=True
    )
    for number, sizes in enumerate([[(30, 50)], [], [(21, 17), (64, 64)]]):
        plans = [geometry(answers, s, sizes[:at] + sizes[at + 1 :]) for at, s in enumerate(sizes)]
        rows = inputs.source[number] >= 0
        assert int(rows.sum()) == sum(plan.placeholders for plan in plans)
        assert bool((inputs.labels[number][rows] == -100).all())
        latent = inputs.table.modality[number] == int(Modality.LATENT)
        assert torch.equal(rows, (inputs.table.modality[number] > 0) & ~latent)
        if spoken(slug).head.context is Context.ALWAYS:
            assert int(latent.sum()) == len(sizes) * spoken(slug).head.latent.rows
        else:
            assert not bool(latent.any())


@pytest.mark.parametrize("slug", every())
def test_packed_questions_teach_what_single_ones_teach(slug, tokenizer, pictures):
    """Loss and gradients, under a sliding window too."""
    collator = Collator(spoken(slug), NANO, tokenizer)
    asked = examples(pictures, independent=True)
    packed = collator.batch(asked, teach=True)
    single = [
        collator.batch([replace(e, turns=(turn,))], teach=True) for e in asked for turn in e.turns
    ]
    total = int((packed.labels >= 0).sum())
    assert total == sum(int((inputs.labels >= 0).sum()) for inputs in single)
    one, other = fresh(spoken(slug)), fresh(spoken(slug))
    # A router's own losses are statistics of the rows it meets, and packed rows are met once.
    loss = one.losses(packed).main
    apart = sum(other.losses(inputs, total=total).main for inputs in single)
    close(loss, apart, 1e-5)
    loss.backward()
    apart.backward()
    close_gradients(gradients(one), gradients(other), 2e-5)


@pytest.mark.parametrize("slug", every())
def test_grouping_samples_leaves_the_loss_equal(slug, tokenizer, pictures):
    """One batch, or batches by length or modality: with one total, the loss is the same."""
    collator = Collator(spoken(slug), NANO, tokenizer)
    asked = examples(pictures, independent=False)
    model = fresh(spoken(slug)).requires_grad_(False)
    whole = collator.batch(asked, teach=True)
    total = int((whole.labels >= 0).sum())
    for groups in ([asked[:1], asked[1:]], [asked[1:2], [asked[0], asked[2]]]):
        batches = [collator.batch(group, teach=True) for group in groups]
        parts = [model.losses(inputs, total=total).main for inputs in batches]
        close(torch.stack(parts).sum(), model.losses(whole).main, 1e-5)


@pytest.mark.parametrize("slug", every())
def test_unpacked_rows_read_as_packed_ones(slug, tokenizer, pictures):
    """`packed=False` gives a row sequence a question, sharing the encoded image."""
    collator = Collator(spoken(slug), NANO, tokenizer)
    asked = examples(pictures, independent=True)
    model = fresh(spoken(slug)).requires_grad_(False)
    packed, apart = (collator.batch(asked, teach=True, packed=p) for p in (True, False))
    assert apart.ids.shape[0] == sum(len(e.turns) for e in asked)
    if packed.images is not None:
        assert apart.images.shape == packed.images.shape
    close(model.losses(packed).main, model.losses(apart).main, 1e-5)
