"""What is looked into: a checkpoint, and questions that it is asked one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from chiasm import data
from chiasm.answering import Asker
from chiasm.backbone import Decoder
from chiasm.data.conversations import SUFFIXES
from chiasm.data.example import Dataset, Example, Picture, Turn
from chiasm.data.views import picture
from chiasm.errors import Misuse
from chiasm.evaluation.predict import Prediction, predict
from chiasm.evaluation.trial import alone
from chiasm.model import Model
from chiasm.stream import Inputs


@dataclass(frozen=True)
class Asked:
    """One batch of prompts, and the row of each after which its answer begins."""

    examples: Sequence[Example]
    inputs: Inputs
    ends: Int[Tensor, " batch"]


@dataclass(frozen=True)
class Subject:
    """A model and the questions, each an example of its own with what should be said."""

    asker: Asker
    examples: Sequence[Example]

    @classmethod
    def open(cls, checkpoint: str | Path, name: str, *, limit: int | None = None) -> "Subject":
        """A checkpoint, and `limit` questions of a data set's test split (or of a file).

        Raises:
            Misuse: nothing is left to ask, or no question shows a picture.
        """
        found = alone(split(name, "test"))
        return cls(Asker.open(checkpoint), some(found, limit)).checked()

    def checked(self) -> "Subject":
        """This, if there is something to ask and something to look at."""
        if not any(example.images for example in self.examples):
            raise Misuse(f"none of {len(self.examples)} questions shows a picture; ask others")
        if not self.asker.looks:
            raise Misuse(f"{self.asker.checkpoint.folder} looks at no pictures; open one that does")
        return self

    @property
    def model(self) -> Model:
        return self.asker.checkpoint.model

    def among(self, examples: Sequence[Example]) -> "Subject":
        """The same model, asked other questions."""
        return replace(self, examples=examples)

    def batches(self, size: int = 32) -> Iterator[Asked]:
        """The prompts, on the model's device."""
        for first in range(0, len(self.examples), size):
            part = self.examples[first : first + size]
            batch = self.asker.collator.collate(part, teach=False)
            device = self.model.device
            yield Asked(part, batch.inputs.to(device), batch.ends[:, 0].to(device))

    def answers(self, *, batch: int = 64, max_new: int = 8) -> list[Prediction]:
        """What the model says, greedily."""
        stop = self.asker.checkpoint.tokens.eos
        collator = self.asker.collator
        return list(
            predict(self.model, collator, self.examples, batch=batch, max_new=max_new, stop=stop)
        )

    def one_stack(self) -> Decoder:
        """The decoder, where it is one stack of attention layers that runs every row.

        Raises:
            Misuse: it is another arrangement, whose layers are not told apart here.
        """
        decoder, wrong = self.model.decoder, ""
        stack = decoder.stack
        if type(decoder) is not Decoder or not stack.attends:
            wrong = "its decoder is not one stack of attention layers"
        elif stack.lanes:
            wrong = "its layers are several, one for each kind of row"
        elif len(stack.choose):
            wrong = "its rows may skip layers"
        if wrong:
            raise Misuse(f"{self.asker.checkpoint.folder.name} cannot be looked into: {wrong}")
        return decoder


def split(name: str, which: str) -> Dataset:
    """A split of a packaged data set; of a file, all of it."""
    return data.load(name, "train" if Path(name).suffix.lower() in SUFFIXES else which)


def some(examples: Sequence[Example], limit: int | None) -> Sequence[Example]:
    """`limit` examples spread evenly over all; Misuse for fewer than two."""
    if limit is None or limit >= len(examples):
        return examples
    if limit < 2:
        raise Misuse(f"{limit} examples tell nothing of a model; give at least 2")
    return [examples[at * len(examples) // limit] for at in range(limit)]


def unseen(examples: Sequence[Example]) -> list[Example]:
    """The same questions about blank pictures: what is answered from the words alone."""
    return [replace(example, images=tuple(map(grey, example.images))) for example in examples]


def grey(source: Picture) -> Image.Image:
    """A middle-grey picture of the same size, which tells nothing of the original."""
    return Image.new("RGB", picture(source).size, (128, 128, 128))


def saying(example: Example, answer: str) -> Example:
    """A question with this answer in the place of what should be said."""
    *before, last = example.turns
    return replace(example, turns=(*before, Turn(last.question, answer, last.places)))


@torch.no_grad()
def residuals(
    subject: Subject, inputs: Inputs, layers: Sequence[int]
) -> list[Float[Tensor, "batch token width"]]:
    """The residual stream after so many layers (0: as rows enter), in the stream's row order."""
    decoder = subject.one_stack()
    run = decoder.begin(subject.model.stream(inputs))
    found: list[Tensor] = []
    for layer in layers:
        decoder.stack.advance(run, layer)
        found.append(run.restored(run.hidden))
    return found


def parted(name: str) -> tuple[list[Example], list[Example]]:
    """Single questions to learn from, and others to judge by: a data set's train and test splits,
    or every second example of a file.
    """
    if Path(name).suffix.lower() in SUFFIXES:
        whole = data.load(name, "train").examples
        return alone(whole[::2]), alone(whole[1::2])
    return alone(data.load(name, "train").examples), alone(data.load(name, "test").examples)
