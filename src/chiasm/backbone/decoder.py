"""The host decoder: word embeddings, prologue, stack, final norm."""

from typing import cast

from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.backbone.cache import Cache
from chiasm.backbone.stack import Stack
from chiasm.spec.host import Host
from chiasm.spec.reading import Execution, Prologue
from chiasm.stream import Stream


class Decoder(nn.Module):
    """Stream in, normed hidden states out. What is done with them is a head's question."""

    def __init__(self, host: Host, stack: Stack, prologue: nn.Module | None = None) -> None:
        super().__init__()
        self.host = host
        self.embed_tokens = nn.Embedding(host.vocabulary, host.width)
        self.prologue = prologue
        self.stack = stack
        self.norm = nn.RMSNorm(host.width, eps=host.norm_eps)

    def embed(self, ids: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """Word embeddings; ids at media rows only need to be in range."""
        return cast(Tensor, self.embed_tokens(ids))

    def forward(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        inputs: list[Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Final hidden states `[batch, token, width]`, in the stream's row order."""
        if self.prologue is not None and stream.memory is not None:
            prologue = cast(Prologue, self.prologue)
            stream = prologue(stream, execution)
        hidden = self.stack(stream, cache=cache, execution=execution, inputs=inputs)
        return cast(Tensor, self.norm(hidden))
