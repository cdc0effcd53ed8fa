"""Captions follow from easy-VQA's own answers, and agree with its pixels."""

from collections import Counter, defaultdict

import pytest
import torch
from PIL import Image

from chiasm.data import load
from chiasm.data.easy_vqa_captions import COLOURS, SHAPES, caption
from chiasm.data.example import Turn


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_caption_is_drawn_once_and_described_once(easy_vqa_folder, split):
    data = load("easy-vqa-captions", split)
    assert len(data) == {"train": 7_156, "test": 1_776}[split]
    drawn, described = data.examples[::2], data.examples[1::2]
    for one, other in zip(drawn, described, strict=True):
        [asked], [told] = one.turns, other.turns
        assert one.images == () and other.images == (asked.picture,)
        assert asked.question == told.answer and told.picture is None
    captions = Counter(example.turns[0].question for example in drawn)
    assert set(captions) == {f"a {c} {s}" for c in COLOURS for s in SHAPES}
    assert min(captions.values()) > 20


def test_captions_agree_with_the_pixels(easy_vqa_folder):
    """Pictures of one colour word share their pixels' colour, those of another do not."""
    found = defaultdict(list)
    for example in load("easy-vqa-captions", "test").examples[::2]:
        [turn] = example.turns
        pixels = torch.frombuffer(
            bytearray(Image.open(turn.picture).convert("RGB").tobytes()), dtype=torch.uint8
        ).view(-1, 3)
        # The ground is the lightest colour of every picture; the shape is the farthest from it.
        far = (pixels.float() - 255).abs().sum(1).argmax()
        found[turn.question.split()[1]].append(pixels[far].float())
    means = {colour: torch.stack(seen).mean(0) for colour, seen in found.items()}
    for colour, seen in found.items():
        nearest = [min(means, key=lambda c: float((means[c] - p).norm())) for p in seen]
        assert nearest.count(colour) >= 0.97 * len(nearest), colour


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([("what is the red shape?", "circle")], "a red circle"),
        ([("what color is the triangle?", "teal")], "a teal triangle"),
        ([("is there not a blue shape?", "no"), ("is no circle present?", "no")], "a blue circle"),
        ([("is there a blue shape?", "yes"), ("is there a circle?", "no")], None),
        (
            [
                ("does the image not contain a circle?", "yes"),
                ("is a triangle present?", "no"),
                ("what color is the shape?", "gray"),
            ],
            "a gray rectangle",
        ),
        ([("what color is the shape?", "gray")], None),
    ],
)
def test_a_caption_is_what_the_answers_imply(turns, said):
    assert caption(Turn(question, answer) for question, answer in turns) == said
