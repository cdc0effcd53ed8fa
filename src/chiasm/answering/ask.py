"""One question about some images, answered by a checkpoint of any kind."""

import sys
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from chiasm.data.chat_template import render_chat
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.media import read_image
from chiasm.data.render import Rendered
from chiasm.decoding import Sampling, generate
from chiasm.errors import Misuse
from chiasm.evaluation.predict import stop_ids
from chiasm.hub import Checkpoint, open_checkpoint


@dataclass(frozen=True)
class Answer:
    """What was said, and what a person should know about how the images were read."""

    text: str
    notes: tuple[str, ...]


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
            collator = replace(collator, rendering=_Chat(token or "<image>"))
        return cls(checkpoint, collator)

    @torch.inference_mode()
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
        looks = bool(self.collator.answers.views.plan((1, 1)))
        if images and not looks:
            notes.append(f"{self.checkpoint.slug or 'this model'} looks at no images")
        read = [read_image(source, notes=notes) for source in _sources(images)] if looks else []
        example = Example("question", tuple(read), (Turn(question),))
        batch = self.collator.collate([example], teach=False)
        stop = {*stop_ids(self.collator), *self.checkpoint.tokens.eos}
        made = generate(
            self.checkpoint.model,
            batch.inputs.to(self.checkpoint.model.device),
            batch.ends.to(self.checkpoint.model.device),
            max_new=max_new,
            stop=stop,
            sampling=sampling,
        )
        [[ids]] = made.rows(stop)
        return Answer(self.collator.words(ids, skip_special_tokens=True), tuple(notes))


@dataclass(frozen=True)
class _Chat:
    """A folder's chat template in the place of `render`."""

    image_token: str

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
