"""Questions over the library of a server, done on the model's thread."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.answering.desk import Question, Tools
from chiasm.answering.pipeline import answer, pipeline
from chiasm.answering.readers.checkpoint import CheckpointReader
from chiasm.answering.readers.extractive import Extractive
from chiasm.answering.readers.reader import Reader
from chiasm.answering.searchable import Searchable
from chiasm.answering.trace import Trace
from chiasm.retrieval.embedder import Embedder
from chiasm.retrieval.where import parse
from chiasm.serving.chatting import Chatter

PIPELINE = "plain"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A library, and who reads what was found in it."""

    library: Searchable
    embedder: Embedder
    model: Reader | None = None

    @classmethod
    def over(
        cls, library: Searchable, embedder: Embedder, chatter: Chatter | None = None
    ) -> "Answers":
        """With the chat model as a reader, if there is one."""
        model = None if chatter is None else CheckpointReader(chatter.asker, chatter.name)
        return cls(library=library, embedder=embedder, model=model)

    def reader(self, name: str | None) -> Reader:
        """`model` or `extractive`; by default the model where one is served."""
        if name == "extractive" or self.model is None:
            return Extractive(self.embedder)
        return self.model

    def ask(
        self,
        question: str,
        *,
        images: Sequence[bytes] = (),
        where: str = "",
        k: int = 10,
        reader: str | None = None,
    ) -> Trace:
        """The trace of an answer.

        Raises:
            ChiasmError: a filter that cannot be read, or a prompt longer than the context.
        """
        asked = Question(
            text=question,
            images=tuple(images),
            where=parse(where) if where.strip() else None,
        )
        tools = Tools(library=self.library, embedder=self.embedder, reader=self.reader(reader))
        return answer(pipeline(PIPELINE, k=k), asked, tools)
