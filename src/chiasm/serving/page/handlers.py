"""What the page asks of the services; an error is one line on the page."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from chiasm.data.example import Example, Turn
from chiasm.decoding import Sampling
from chiasm.errors import ChiasmError
from chiasm.serving.composing import composed
from chiasm.serving.media import Seen
from chiasm.serving.page.cards import cards
from chiasm.serving.page.cited import answered
from chiasm.serving.refusal import Refused
from chiasm.serving.services import Services
from chiasm.serving.wire.search import Weights

SEARCH, ASK = "viewer-search", "viewer-ask"
"""The frames in which links open."""


class Handlers:
    """One method an event."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def search(
        self,
        text: str,
        text_weight: float,
        image: str | None,
        image_weight: float,
        minus: str,
        minus_weight: float,
        like: Sequence[str],
        like_weight: float,
        where: str,
        k: float,
    ) -> str:
        """Cards of what fits."""
        seen = None if image is None else await self._picture(image)
        query = composed(
            text=text,
            image=None if seen is None else seen.image,
            minus=minus,
            like=like,
            weights=Weights(
                text=text_weight, image=image_weight, minus=minus_weight, like=like_weight
            ),
            where=where,
            k=int(k),
        )
        library = self.services.answering().library
        hits = await self.services.worker.run(lambda: library.search(query))
        return cards(hits, text, SEARCH)

    async def ask(self, question: str, image: str | None, where: str, reader: str) -> str:
        """An answer with links to its sources."""
        answers = self.services.answering()
        if not question.strip():
            raise Refused(400, "the question is empty; ask something")
        if image is not None:
            await self._picture(image)
        shown = () if image is None else (Path(image).read_bytes(),)

        def run() -> str:
            trace = answers.ask(question, images=shown, where=where, reader=reader)
            said = trace.answered()
            wanted = [one.unit for one in said.citations if one.unit is not None]
            units = {unit.id: unit for unit in answers.library.units(wanted)}
            return answered(said.text, said.citations, units, trace.notes(), ASK)

        return await self.services.worker.run(run)

    async def chat(self, said: dict[str, Any], history: list[Any]) -> AsyncIterator[str]:
        """The answer to the last message, growing."""
        chatter = self.services.chatter
        if chatter is None:
            raise Refused(404, "no chat model is served; start the server with --model")
        example = await self._conversation(said, history, chatter.asker.looks)
        pieces = self.services.worker.stream(
            lambda: chatter.pieces(
                example,
                max_new=None,
                default=self.services.settings.max_new,
                sampling=Sampling(),
                stop=(),
            )
        )
        text = ""
        async for piece in pieces:
            text += piece.text
            yield text

    async def _conversation(self, said: dict[str, Any], history: list[Any], looks: bool) -> Example:
        """Gradio's messages as turns; a message's pictures stand before its words."""
        turns: list[Turn] = []
        images = []
        messages = [*history, {"role": "user", "content": [said]}]
        for message in messages:
            words, files = _parts(message["content"])
            if message["role"] == "assistant":
                turns[-1] = Turn(turns[-1].question, words, turns[-1].places)
                continue
            for file in files:
                images.append((await self._picture(file)).image)
            if turns and not turns[-1].answer:
                # What was asked before had no answer: an error took its place.
                images, turns = images[len(turns[-1].places) :], turns[:-1]
            turns.append(Turn(words, "", (0,) * len(files)))
        if not turns[-1].question.strip() and not turns[-1].places:
            raise Refused(400, "the message is empty; ask something")
        if images and not looks:
            raise Refused(400, "this model looks at no pictures; send words alone")
        return Example("page", tuple(images), tuple(turns))

    async def _picture(self, file: str) -> Seen:
        """A picture that the page took in."""
        path, most = Path(file), self.services.settings.max_media
        if path.stat().st_size > most:
            raise Refused(400, f"the picture is above the cap of {most:,} bytes; shrink it")
        media = self.services.media
        return await media.apart(lambda: media.decoded(path.read_bytes()))


def _parts(content: Any) -> tuple[str, list[str]]:
    """The words and the files of a message, in whichever form Gradio holds it."""
    words: list[str] = []
    files: list[str] = []
    for part in [content] if isinstance(content, str | dict) else content:
        if isinstance(part, str):
            words.append(part)
            continue
        if part.get("text"):
            words.append(part["text"])
        for file in [*part.get("files", ()), *([part["file"]] if "file" in part else ())]:
            files.append(file if isinstance(file, str) else file["path"])
    return "\n".join(words), files


def as_line(error: ChiasmError) -> str:
    """An error as the page shows it."""
    return " ".join(str(error).split())
