"""A system of prime sizes and a few drawn pictures, small enough to teach in a test.

Run as a program, it trains in a process of its own that a test can kill:
`python -m tests.training.toy DATA OUT [--resume]`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image

from chiasm.connectors import MLP
from chiasm.data import Dataset, load
from chiasm.data.collate import Collator
from chiasm.encoders import VisionTransformer
from chiasm.errors import ChiasmError
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.model import PARTS, Model
from chiasm.spec import Answers, Card, Fixed, Host, Scale, Stage, System, Teaching
from chiasm.training import Budget, Options, prepare, train

STAGE = Stage(name="everything", trained=PARTS, learning_rate=3e-3, batch=3, weight_decay=0.1)
ALIGN = replace(STAGE, name="align", trained=("connector",), share=0.4)
ADAPT = replace(STAGE, name="adapt", share=0.6, schedule="linear", rates=(("decoder", 0.5),))

HOST = Host(
    vocabulary=300,
    width=22,
    depth=2,
    heads=3,
    kv_heads=1,
    head_width=6,
    ff_width=29,
    tied_head=True,
    max_positions=211,
)

KILLED_SAMPLES, KILLED_STEPS = 165, 60
"""Fifteen epochs of eleven samples, each of three full steps and a short one."""


def toy(*stages: Stage, stem: tuple[int, ...] = ()) -> System:
    """An in-sequence system; `stem` brings batch norms into the encoder."""
    nano = VISION_LANGUAGE[Scale.NANO]
    answers = replace(
        nano,
        views=Fixed(16, 24),
        encoder=VisionTransformer(patch=8, width=12, depth=1, heads=3, ff_width=13, stem=stem),
        connector=MLP(),
        teaching=Teaching(objective=nano.teaching.objective, stages=stages or (STAGE,)),
        host=HOST,
    )
    card = Card(paper="none", differs="tiny", claim="none", checks=())
    scales: dict[Scale, Answers] = {Scale.NANO: answers, Scale.PAPER: answers}
    return System(slug="toy", no=None, parent=None, card=card, scales=scales)


def draw(folder: Path, count: int = 11) -> Path:
    """LLaVA JSON of `count` plain pictures, each with two or three separate questions."""
    colours = {"red": (250, 10, 20), "green": (10, 240, 30), "blue": (20, 30, 245)}
    records = []
    for number in range(count):
        name, colour = list(colours.items())[number % 3]
        shade = tuple(max(0, value - number) for value in colour)
        Image.new("RGB", (24, 16), shade).save(folder / f"{number}.png")
        asked = [("What colour is it?", name), (f"Is it {name}?", "yes"), ("Is it gray?", "no")]
        said = [
            {"from": who, "value": what}
            for question, answer in asked[: 2 + number % 2]
            for who, what in (("human", question), ("gpt", answer))
        ]
        record = {"id": f"p{number}", "image": f"{number}.png", "conversations": said}
        records.append(record | {"independent": True})
    path = folder / "data.json"
    path.write_text(json.dumps(records))
    return path


def ready(
    data: Path, *stages: Stage, stem: tuple[int, ...] = ()
) -> tuple[Model, Dataset, Collator]:
    """The toy before its first step, with the pictures and their collator."""
    dataset = load(str(data))
    model, tokenizer, template = prepare(toy(*stages, stem=stem), "nano", dataset, 5)
    return model, dataset, Collator(model.answers, template, tokenizer)


def killed(data: Path, out: Path, *, resume: bool) -> Path:
    """The run that tests kill: two stages, batch norms, gradients in two pieces."""
    return train(
        toy(ALIGN, ADAPT, stem=(5, 7, 11)),
        "nano",
        str(data),
        Budget(samples=KILLED_SAMPLES),
        out,
        seed=7,
        options=Options(accumulate=2, checkpoint_steps=5),
        threads=1,
        resume=resume,
    )


if __name__ == "__main__":
    try:
        killed(Path(sys.argv[1]), Path(sys.argv[2]), resume="--resume" in sys.argv)
    except ChiasmError as error:
        sys.exit(f"chiasm: {error}")
