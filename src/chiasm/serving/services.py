"""Everything a server serves, opened once."""

from dataclasses import dataclass
from pathlib import Path

from chiasm.answering.searchable import Searchable
from chiasm.serving.answers import Answers
from chiasm.serving.chatting import Chatter
from chiasm.serving.embedding import Embeds
from chiasm.serving.media import MediaReader, Transcribes
from chiasm.serving.metrics import Metrics
from chiasm.serving.refusal import Refused
from chiasm.serving.remote import Remote
from chiasm.serving.reranking import Reranks
from chiasm.serving.settings import Settings
from chiasm.serving.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Services:
    """One server's models, tables, limits and counts; None for what it does not serve."""

    settings: Settings
    worker: Worker
    media: MediaReader
    metrics: Metrics
    chatter: Chatter | None = None
    embeds: Embeds | None = None
    reranks: Reranks | None = None
    answers: Answers | None = None
    """The library, and who reads in it."""
    folder: Path | None = None
    """Whose files the library holds; they are shown where they are cited."""

    @classmethod
    def start(
        cls,
        settings: Settings,
        *,
        chatter: Chatter | None = None,
        embeds: Embeds | None = None,
        reranks: Reranks | None = None,
        library: Searchable | None = None,
        folder: Path | None = None,
        transcriber: Transcribes | None = None,
        remote: Remote | None = None,
    ) -> "Services":
        """Around what was opened, the thread that works and the caches."""
        worker = Worker(settings.queue, settings.seconds)
        media = MediaReader(settings, remote=remote, transcriber=transcriber)
        return cls(
            settings=settings,
            worker=worker,
            media=media,
            metrics=Metrics(worker, media.cache),
            chatter=chatter,
            embeds=embeds,
            reranks=reranks,
            answers=(
                None
                if library is None or embeds is None
                else Answers.over(library, embeds.embedder, chatter)
            ),
            folder=folder,
        )

    def chatter_named(self, name: str) -> Chatter:
        """The chat model, if that is its name."""
        if self.chatter is None:
            raise Refused(404, "no chat model is served; start the server with --model")
        if name != self.chatter.name:
            raise Refused(
                404, f"no model {name!r:.80}; chat is with {self.chatter.name!r}", field="model"
            )
        return self.chatter

    def embeds_named(self, name: str | None) -> Embeds:
        """The embedder, if that is its name or none is given."""
        if self.embeds is None:
            raise Refused(404, "no embedder is served; start the server with --library")
        if name not in (None, self.embeds.name):
            raise Refused(
                404, f"no model {name!r:.80}; the embedder is {self.embeds.name!r}", field="model"
            )
        return self.embeds

    def scores_named(self, name: str | None) -> Embeds | Reranks:
        """What scores documents: the reranker where one is served, else the embedder; or the one of
        them that is named.
        """
        if self.reranks is not None and name in (None, self.reranks.name):
            return self.reranks
        return self.embeds_named(name)

    def reranking(self) -> Reranks:
        """The reranker."""
        if self.reranks is None:
            raise Refused(
                400, "no reranker is served; start the server with --rerank", field="rerank"
            )
        return self.reranks

    def answering(self) -> Answers:
        """The library, with its readers."""
        if self.answers is None:
            raise Refused(404, "no library is served; start the server with --library")
        return self.answers
