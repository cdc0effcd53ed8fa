"""The chat model of a server: a conversation in, pieces of an answer out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chiasm.answering import Asker
from chiasm.data.example import Example
from chiasm.decoding import Sampling, Spoken
from chiasm.serving.refusal import Refused
from chiasm.serving.wire.chat import Finish


@dataclass(frozen=True)
class Piece:
    """What is new since the last one: text, or how long the prompt was, or how it ended."""

    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: Finish | None = None


@dataclass(frozen=True)
class Chatter:
    """A checkpoint under the name by which clients ask for it."""

    name: str
    asker: Asker

    @classmethod
    def open(cls, folder: str) -> "Chatter":
        """A chiasm folder, or one of transformers, named as the folder is."""
        return cls(Path(folder).name or folder, Asker.open(folder))

    def pieces(
        self,
        example: Example,
        *,
        max_new: int | None,
        default: int,
        sampling: Sampling,
        stop: Sequence[str],
    ) -> Iterator[Piece]:
        """First the prompt's length, then text as it comes, last how it ended.

        `max_new` is refused where the context is shorter; `default`, where it is not given, is cut.

        Raises:
            ChiasmError: the prompt, or the answer asked for, is longer than the context.
        """
        prompt = self.asker.prompt(example)
        if prompt.room < 1 or (max_new or 1) > prompt.room:
            raise Refused(
                400,
                f"{prompt.rows} tokens of prompt leave room for {prompt.room} in the context, not "
                f"for {max_new or 1}; shorten the messages or lower max_tokens",
                field="max_tokens",
            )
        yield Piece(prompt_tokens=prompt.rows)
        spoken = Spoken(self.asker.spelled, tuple(stop))
        most = max_new or min(default, prompt.room)
        for token in self.asker.said(prompt, max_new=most, sampling=sampling):
            text = spoken.add(token)
            if text:
                yield Piece(text, completion_tokens=len(spoken.ids))
            if spoken.stopped:
                break
        ended = spoken.stopped or spoken.ids[-1] in self.asker.stop
        yield Piece(
            spoken.rest(),
            completion_tokens=len(spoken.ids),
            finish="stop" if ended else "length",
        )
