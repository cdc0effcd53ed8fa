"""Predictions: every question of a data set answered by generation, packed where the system can."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from chiasm.data.collate import Collator
from chiasm.data.example import Example
from chiasm.decoding import generate
from chiasm.model import Model


@dataclass(frozen=True)
class Prediction:
    """What was asked, what should have been said, and what was said."""

    example: str
    question: str
    expected: str
    said: str

    @property
    def right(self) -> bool:
        """Equal after trimming and case folding; no partial credit, no random fallback."""
        return self.said.strip().casefold() == self.expected.strip().casefold()


def predict(
    model: Model,
    collator: Collator,
    examples: Sequence[Example],
    *,
    batch: int = 64,
    max_new: int = 8,
    stop: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
) -> Iterator[Prediction]:
    """Greedy answers to every turn of independent examples, and to the last turn of conversations.

    `stop` are ids that end an answer beside the template's. `progress` is told, after each batch,
    how many examples are done.
    """
    was_training = model.training
    stop = tuple(dict.fromkeys((*stop_ids(collator), *stop)))
    model.eval()
    try:
        for first in range(0, len(examples), batch):
            part = examples[first : first + batch]
            prompts = collator.collate(part, teach=False)
            inputs = prompts.inputs.to(model.device)
            made = generate(
                model, inputs, prompts.ends.to(model.device), max_new=max_new, stop=stop
            ).rows(stop)
            for asked, said in zip(prompts.turns, made, strict=True):
                for (number, turn), ids in zip(asked, said, strict=False):
                    example = part[number]
                    at = turn if example.independent else len(example.turns) - 1
                    yield Prediction(
                        example.id,
                        example.turns[at].question,
                        example.turns[at].answer,
                        collator.words(ids),
                    )
            if progress is not None:
                progress(min(first + batch, len(examples)))
    finally:
        model.train(was_training)


def stop_ids(collator: Collator) -> tuple[int, ...]:
    """The id with which the template says that an answer has ended."""
    ids = collator.tokenizer.encode(collator.template.after_answer, add_special_tokens=False)
    return (ids[0],) if ids else ()
