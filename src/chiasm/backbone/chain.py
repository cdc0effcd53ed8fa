"""Two decoders in a row, each of its own width: rows pass one whole stack, then the other."""

from dataclasses import replace
from typing import cast

from jaxtyping import Float, Int
from torch import Tensor

from chiasm.backbone.cache import Cache
from chiasm.backbone.decoder import Decoder
from chiasm.backbone.run import Run
from chiasm.backbone.stack import Stack
from chiasm.layers import Linear
from chiasm.spec.host import Host
from chiasm.spec.reading import Execution, Losses
from chiasm.spec.slots import Weights
from chiasm.stream import Stream


class Chain(Decoder):
    """h = host(W ahead(e)): words are looked up, and media enter, in the width of what is ahead.

    Both stacks run the same rows under the same rules, and a cache holds a part for the one ahead.
    The host's own table of words gives nothing to its rows: it only scores them, so that the head
    is tied.
    """

    def __init__(self, host: Host, stack: Stack, weights: Weights, *, ahead: Decoder) -> None:
        super().__init__(host, stack, weights)
        if not host.tied_head:
            raise ValueError(
                f"words enter in the {ahead.host.width} channels ahead, so that the host's table "
                f"of {host.width} only scores them; set tied_head"
            )
        self.ahead = ahead
        self.widen = Linear(ahead.host.width, host.width, bias=False)

    def embed(self, ids: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token ahead_width"]:
        return self.ahead.embed(ids)

    def early(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
    ) -> Float[Tensor, "batch token ahead_width"]:
        """What the stack ahead makes of the stream's rows, in their order."""
        own = None if cache is None else cache.part("ahead")
        return self.ahead(stream, cache=own, execution=execution, losses=losses)

    def begin(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
    ) -> Run:
        """The host's call before its first layer; the stack ahead has run."""
        made = self.early(stream, cache=cache, execution=execution, losses=losses)
        rows = cast(Tensor, self.widen(made))
        wide = replace(stream, embeddings=rows)
        return super().begin(wide, cache=cache, execution=execution, losses=losses)
