"""A reader by what a person names: nothing, a folder or an address."""

from chiasm.answering.readers.extractive import Extractive
from chiasm.answering.readers.reader import Reader
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Embedder


def open_reader(name: str | None, *, model: str | None = None, embedder: Embedder) -> Reader:
    """The extractive reader, a server's model, or a checkpoint.

    Raises:
        Misuse: a model is named where only a server has several.
        ChiasmError: what is named cannot be opened.
    """
    if name is not None and name.startswith(("http://", "https://")):
        from chiasm.answering.readers.server import Server

        return Server.open(name, model=model)
    if model is not None:
        raise Misuse(f"--model {model} is one of a server's; name the server with --reader URL")
    if name is None:
        return Extractive(embedder)
    from chiasm.answering.readers.checkpoint import CheckpointReader

    return CheckpointReader.open(name)
