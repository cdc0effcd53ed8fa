"""One question about some images, answered by a checkpoint of any kind."""

import functools
import sys
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from chiasm.data.chat_template import render_chat
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.media import read_image
from chiasm.data.render import Rendered
from chiasm.decoding import Sampling, steps
from chiasm.errors import Misuse
from chiasm.evaluation.predict import stop_ids
from chiasm.hub import Checkpoint, open_checkpoint
from chiasm.stream import Inputs


@dataclass(frozen=True)
class Answer:
    """What was said, and what a person should know about how the images were read."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the model is given before it answers."""

    inputs: Inputs
    ends: Tensor
    rows: int
    """How many rows it is long, those of images included."""
    room: int
    """How many ids the context still takes."""


@dataclass(frozen=True)
class Asker:
    """A checkpoint ready to answer."""

    checkpoint: Checkpoint
    collator: Collator

    @classmethod
    def open(cls, name: str | Path) -> "Asker":
        """Open a chiasm folder, or a LLaVA-type one of transformers, whose own chat template and
        image recipe are then used.
        """
        checkpoint = open_checkpoint(name)
        checkpoint.model.eval()
        collator = checkpoint.collator
        tokenizer, image_id = checkpoint.tokenizer, checkpoint.tokens.image
        if checkpoint.slug is None and tokenizer.chat_template is not None:
            token = "" if image_id is None else str(tokenizer.convert_ids_to_tokens(image_id))
            collator = replace(collator, rendering=_Chat(token))
        return cls(checkpoint, collator)

    def answer(
        self,
        question: str,
        images: Sequence[str] = (),
        *,
        max_new: int = 64,
        sampling: Sampling | None = None,
    ) -> Answer:
        """Answer a question about the images (paths, data URIs, or `-` for standard input).

        Raises:
            ChiasmError: an image that cannot be read, or a prompt longer than the context.
        """
        notes: list[str] = []
        if images and not self.looks:
            notes.append(f"{self.checkpoint.slug or 'this model'} looks at no images")
        sources = _sources(images) if self.looks else []
        read = [read_image(source, notes=notes) for source in sources]
        prompt = self.prompt(Example("question", tuple(read), (Turn(question),)))
        ids = list(self.said(prompt, max_new=max_new, sampling=sampling))
        return Answer(self.words(ids), tuple(notes))

    @property
    def looks(self) -> bool:
        """Whether the model looks at images."""
        return bool(self.collator.answers.views.plan((1, 1)))

    @functools.cached_property
    def stop(self) -> frozenset[int]:
        """The ids that end an answer."""
        return frozenset((*stop_ids(self.collator), *self.checkpoint.tokens.eos))

    def prompt(self, example: Example) -> Prompt:
        """A conversation up to where its last answer begins.

        Raises:
            ChiasmError: it is longer than the context.
        """
        batch = self.collator.collate([example], teach=False)
        table = batch.inputs.table
        last = int(table.position.amax(-1).masked_fill(~table.valid, 0).amax().ceil())
        return Prompt(
            inputs=batch.inputs,
            ends=batch.ends,
            rows=int(table.valid.sum()),
            room=self.collator.answers.host.max_positions - last - 1,
        )

    def said(
        self, prompt: Prompt, *, max_new: int, sampling: Sampling | None = None
    ) -> Iterator[int]:
        """The answer's ids as they come, the one that ends it included."""
        device = self.checkpoint.model.device
        for ids, _ in steps(
            self.checkpoint.model,
            prompt.inputs.to(device),
            prompt.ends.to(device),
            max_new=max_new,
            stop=self.stop,
            sampling=sampling,
        ):
            yield int(ids)

    def words(self, ids: Sequence[int]) -> str:
        """The text of ids that were said."""
        return self.spelled(ids).strip()

    def spelled(self, ids: Sequence[int]) -> str:
        """The same with the spaces around it."""
        said = [one for one in ids if one not in self.stop]
        return self.collator.spelled(said, skip_special_tokens=True)


@dataclass(frozen=True)
class _Chat:
    """A folder's chat template in the place of `render`."""

    image_token: str
    """Empty for a model that is shown no images."""

    def __call__(
        self,
        template: Any,
        tokenizer: Any,
        images: Sized,
        turns: Sequence[Turn],
        answers: bool,
        *,
        independent: bool = False,
        system: str = "",
    ) -> list[Rendered]:
        if answers or independent:
            raise Misuse("a folder's chat template writes prompts, not what is taught")
        return render_chat(tokenizer, self.image_token, images, turns, system=system)


def _sources(images: Sequence[str]) -> list[Any]:
    """Standard input can be read once."""
    if sum(source == "-" for source in images) > 1:
        raise Misuse("standard input was named twice; it holds one image")
    return [sys.stdin.buffer if source == "-" else source for source in images]
