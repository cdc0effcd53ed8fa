"""What a person names on the command line, opened and put behind one server."""

from pathlib import Path

from chiasm.embedders.named import named
from chiasm.errors import Misuse
from chiasm.library.library import Library
from chiasm.library.reranking.opened import reranker_of
from chiasm.serving.chatting import Chatter
from chiasm.serving.embedding import Embeds
from chiasm.serving.hearing import Whisper
from chiasm.serving.reranking import Reranks
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings


def opened(
    settings: Settings,
    *,
    library: str | None = None,
    model: str | None = None,
    embedder: str | None = None,
    rerank: str | None = None,
) -> Services:
    """The services of a server; models are loaded now, so that the first request does not wait.

    Raises:
        Misuse: an embedder is named where the library brings its own, or something does not exist.
        ChiasmError: something cannot be read.
    """
    if library is not None and embedder is not None:
        raise Misuse(f"--embedder {embedder}: the library brings its own; leave one of them out")
    held = None if library is None else Library.open(library)
    embeds = None
    if held is not None:
        name = held.config.embedder
        embeds = Embeds(Path(name).name or name, held.embedder)
    elif embedder is not None:
        embeds = Embeds(Path(embedder).name or embedder, named(embedder))
    chatter = None if model is None else Chatter.open(model)
    reranks = None
    if rerank is not None:
        reranks = Reranks(Path(rerank).name or rerank, reranker_of(rerank))
    names = [one.name for one in (chatter, embeds, reranks) if one is not None]
    if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise Misuse(f"two of model, embedder and reranker are called {twice!r}; rename a folder")
    folder = None if held is None or not held.config.folder else held.folder
    return Services.start(
        settings,
        chatter=chatter,
        embeds=embeds,
        reranks=reranks,
        library=held,
        folder=folder,
        transcriber=Whisper.found(),
    )
