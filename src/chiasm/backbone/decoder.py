"""The host decoder: word embeddings, prologue, stack, final norm, epilogue."""

from typing import cast

from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.backbone.cache import Cache
from chiasm.backbone.run import Run
from chiasm.backbone.stack import Stack
from chiasm.spec.host import Host
from chiasm.spec.reading import Execution, Losses
from chiasm.spec.slots import Epilogue, NormSite, Prologue, Weights
from chiasm.stream import TEXT, Stream


class Decoder(nn.Module):
    """Stream in, normed hidden states out. What is done with them is a head's question."""

    piece: int | None = None
    """Rows of each of the short sequences that the stack runs over, behind a start row; None where
    it runs over the stream itself."""
    patch: int = 1
    """Rows of the stream that are read again with each new one."""

    def __init__(
        self,
        host: Host,
        stack: Stack,
        weights: Weights,
        prologue: nn.Module | None = None,
        epilogue: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.host = host
        self.embed_tokens = nn.Embedding(host.vocabulary, host.width)
        self.embed_positions = None
        if host.positions == "learned":
            self.embed_positions = nn.Embedding(host.max_positions, host.width)
        self.embedding_norm = None
        if host.embedding_norm:
            self.embedding_norm = weights.norm(0, NormSite.EMBEDDING, host.width)
        self.prologue = prologue
        self.stack = stack
        self.norm = None
        if host.final_norm:
            self.norm = weights.norm(stack.depth, NormSite.FINAL, host.width)
        self.epilogue = epilogue

    def embed(self, ids: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """Word embeddings; ids at media rows only need to be in range."""
        return cast(Tensor, self.embed_tokens(ids))

    def forward(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
        inputs: list[Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Final hidden states `[batch, token, width]`, in the stream's row order."""
        run = self.begin(stream, cache=cache, execution=execution, losses=losses)
        self.stack.advance(run, self.stack.depth, inputs)
        return self.finish(run)

    def begin(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
    ) -> Run:
        """The stack's call after positions, embedding norm and prologue, before its first layer."""
        if self.prologue is not None and stream.memory is not None:
            stream = cast(Prologue, self.prologue)(stream, execution)
        run = self.stack.begin(stream, cache=cache, execution=execution, losses=losses)
        if self.embed_positions is not None:
            table = run.call.table
            position = self.embed_positions(table.position[..., 0].long())
            run.hidden = run.hidden + position * TEXT.select(table).unsqueeze(-1)
        if self.embedding_norm is not None:
            run.hidden = self.embedding_norm(run.hidden, run.reading())
        return run

    def finish(self, run: Run) -> Float[Tensor, "batch token width"]:
        """The final norm of where a run ends, in the stream's row order."""
        self.stack.close(run)
        normed = run.hidden if self.norm is None else self.norm(run.hidden, run.reading())
        if self.epilogue is not None:
            normed = cast(Epilogue, self.epilogue)(normed, run.reading())
        return run.restored(cast(Tensor, normed))
