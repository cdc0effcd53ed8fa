"""A long stream of ids in patches of patches: a stage over each kind of patch."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType]

from chiasm.backbone.cache import Cache
from chiasm.backbone.decoder import Decoder
from chiasm.backbone.seen import Seen
from chiasm.backbone.stack import Stack
from chiasm.layers import LayerNorm, Linear
from chiasm.spec.host import Host
from chiasm.spec.reading import Execution, Losses
from chiasm.spec.slots import NormSite, Weights
from chiasm.stream import Stream, TokenTable


class Stage(nn.Module):
    """One outer stage (MEGABYTE, arXiv 2305.07185; multiscale byte language model).

    A row stands for a patch of `ids` ids; with its own table E, e = LN(W LN(flatten E[ids])). The
    stack runs over [start; e_1; e_2; …], causally; its row p, which has seen the patches before p,
    is mapped to the `inner` rows of the next stage that patch p becomes, and added to them.
    """

    def __init__(
        self,
        host: Host,
        stack: Stack,
        weights: Weights,
        *,
        vocabulary: int,
        ids: int,
        table_width: int,
        inner: int,
        inner_width: int,
    ) -> None:
        super().__init__()
        self.host, self.ids, self.inner = host, ids, inner
        self.table = nn.Embedding(vocabulary, table_width)
        self.flat_norm = LayerNorm(ids * table_width)
        self.flat = Linear(ids * table_width, host.width)
        self.row_norm = LayerNorm(host.width)
        self.start = nn.Parameter(torch.randn(host.width) * host.initial_std)
        self.stack = stack
        self.norm = weights.norm(stack.depth, NormSite.FINAL, host.width)
        self.down = Linear(host.width, inner * inner_width)

    def rows(self, ids: Int[Tensor, "*patch id"]) -> Float[Tensor, "*patch width"]:
        """A row for every patch."""
        return self.row_norm(self.flat(self.flat_norm(self.table(ids).flatten(-2))))

    def handed(
        self, rows: Float[Tensor, "*patch width"]
    ) -> Float[Tensor, "*patch inner inner_width"]:
        """What each patch's rows of the next stage are given."""
        return self.down(rows).unflatten(-1, (self.inner, -1))


class Hierarchy(Decoder):
    """A decoder over ids, outermost stage first; the host is the innermost, whose rows are ids.

    Rows come and go in the stream's order. A call costs one outer row for every whole patch of new
    ids, and the inner stages of the patches that hold new ids, `chunk` outer patches at a time
    (with gradients each chunk is computed again in the backward pass). An id's hidden state is that
    of the innermost row that has read it, so that the first id of a patch is predicted by the last
    row of the patch before. What a stage hands in is added to rows, never to a start row: as
    published, the first inner patch of a middle stage is told nothing from outside its patch.
    """

    def __init__(
        self, host: Host, stack: Stack, weights: Weights, *, stages: Sequence[Stage], chunk: int
    ) -> None:
        super().__init__(host, stack, weights)
        self.stages = nn.ModuleList(stages)
        self.chunk = chunk
        self.start = nn.Parameter(torch.randn(host.width) * host.initial_std)
        self.patch = cast(Stage, self.stages[0]).ids if stages else 1
        """Ids of an outermost patch."""
        self.piece = stages[-1].inner if stages else None

    def kept_bytes(self, rows: int, size: int) -> int:
        """What a cache holds after so many rows, ids apart: outer keys and values, one row."""
        if not self.stages:
            return 0
        host = cast(Stage, self.stages[0]).host
        shared = host.kv_heads * host.head_width
        return size * (2 * shared * host.depth * (rows // self.patch + 1) + host.width)

    def embed(self, ids: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token 1"]:
        """The ids themselves: every stage looks them up in a table of its own."""
        return ids.unsqueeze(-1).float()

    def forward(
        self,
        stream: Stream,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
        inputs: list[Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Final hidden states of the stream's rows. `inputs` receives nothing: no two stages have
        the same rows.
        """
        given = stream.embeddings[..., 0].round().long()
        late = torch.where(stream.table.valid, stream.table.order, stream.table.order.max() + 1)
        order = late.argsort(dim=1, stable=True)
        seen = Seen.after(cache, given.gather(1, order), stream.table.valid.sum(1))
        run = Pass(self.stages, execution, losses)
        read = self._patches if self.stages else self._flat
        hidden = read(seen, run, cache)
        hidden = hidden if self.norm is None else self.norm(hidden)
        place = order.argsort(dim=1).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        return hidden.gather(1, place)

    def _flat(self, seen: Seen, run: "Pass", cache: Cache | None) -> Tensor:
        """No outer stage: a plain language model behind one start row."""
        rows = self.embed_tokens(seen.ids.gather(1, seen.new))
        where, valid, first = seen.new, seen.held, seen.first
        if first:
            rows, where, valid = _started(rows, self.start, where + 1, valid)
        else:
            where = where + 1
        hidden = run.stack(self.stack, rows, where, valid, cache)
        return hidden[:, 1:] if first else hidden

    def _patches(self, seen: Seen, run: "Pass", cache: Cache | None) -> Tensor:
        outer, m = cast(Stage, self.stages[0]), self.patch
        begun, ended = seen.before // m, seen.count // m
        count = int((ended - begun).max())
        at = begun.unsqueeze(1) + torch.arange(count, device=seen.ids.device)
        whole = at < ended.unsqueeze(1)
        given: list[Tensor] = []
        if count:
            rows = self._chunked(outer.rows, seen.patches(at, m).flatten(0, 1))
            given.append(rows.view(*at.shape, -1))
        where, valid = at + 1, whole
        if seen.first:
            start = outer.start.expand(len(at), 1, -1)
            where, valid = F.pad(where, (1, 0)), F.pad(valid, (1, 0), value=True)
            given = [start, *given]
        known = [] if seen.first or cache is None else [cache.memory["outer"][0]]
        if given:
            made = run.stack(outer.stack, torch.cat(given, 1), where, valid, cache)
            known.append(cast(Tensor, outer.norm(made)))
        told = torch.cat(known, 1)
        if cache is not None:
            last = (ended - begun).view(-1, 1, 1).expand(-1, 1, told.shape[-1])
            cache.memory["outer"] = (told.gather(1, last),)
        return self._inner(seen, begun, told, run)

    def _inner(self, seen: Seen, begun: Tensor, told: Tensor, run: "Pass") -> Tensor:
        """Hidden states of the new ids, from the patches that hold them."""
        m = self.patch
        most = int(((seen.count - 1).clamp(min=0) // m - begun).max()) + 1
        at = begun.unsqueeze(1) + torch.arange(most, device=begun.device)
        holds = at * m < seen.count.unsqueeze(1)
        sample, place = holds.nonzero(as_tuple=True)
        ids = seen.patches(at, m)[sample, place]

        def one(ids: Tensor, told: Tensor) -> Tensor:
            return self._level(1, ids, told, run)

        hidden = self._chunked(one, ids, told[sample, place])
        wide = hidden.new_zeros(*holds.shape, m, hidden.shape[-1])
        wide = wide.index_put((sample, place), hidden).flatten(1, 2)
        # New ids stand from `before` on; the first of these patches starts at `begun`.
        index = (seen.new - (begun * m).unsqueeze(1)).clamp(0, wide.shape[1] - 1)
        return wide.gather(1, index.unsqueeze(-1).expand(-1, -1, wide.shape[-1]))

    def _level(self, level: int, ids: Tensor, told: Tensor, run: "Pass") -> Tensor:
        """Stage `level` over patches `[patch, id]`, told `[patch, width]` by the one outside."""
        handed = cast(Stage, self.stages[level - 1]).handed(told)
        innermost = level == len(self.stages)
        if innermost:
            rows, start = self.embed_tokens(ids), self.start
        else:
            stage = cast(Stage, self.stages[level])
            ids = ids.view(len(ids), -1, stage.ids)
            rows, start = stage.rows(ids), stage.start
        rows = rows + handed
        where = torch.arange(1, rows.shape[1] + 1, device=rows.device).expand(rows.shape[:2])
        valid = torch.ones_like(where, dtype=torch.bool)
        rows, where, valid = _started(rows, start, where, valid)
        if innermost:
            return run.stack(self.stack, rows, where, valid, None)[:, 1:]
        stage = cast(Stage, self.stages[level])
        made = cast(Tensor, stage.norm(run.stack(stage.stack, rows, where, valid, None)))[:, :-1]
        inner = self._level(level + 1, ids.flatten(0, 1), made.flatten(0, 1), run)
        return inner.reshape(len(ids), -1, inner.shape[-1])

    def _chunked(self, run: Callable[..., Tensor], *parts: Tensor) -> Tensor:
        """`run` over pieces of the first axis; the pieces' insides are not kept for gradients."""
        cuts = [slice(at, at + self.chunk) for at in range(0, len(parts[0]), self.chunk)]
        if len(cuts) < 2:
            return run(*parts)
        again = cast("Callable[..., Tensor]", checkpoint)
        done: list[Tensor] = []
        for cut in cuts:
            piece = [part[cut] for part in parts]
            keep = not torch.is_grad_enabled()
            done.append(run(*piece) if keep else again(run, *piece, use_reentrant=False))
        return torch.cat(done)


class Pass:
    """How the stacks of one call are run."""

    def __init__(self, stages: nn.ModuleList, execution: Execution, losses: Losses | None) -> None:
        self.stages, self.execution, self.losses = stages, execution, losses

    def stack(
        self,
        stack: Stack,
        rows: Float[Tensor, "batch row width"],
        where: Int[Tensor, "batch row"],
        valid: Bool[Tensor, "batch row"],
        cache: Cache | None,
    ) -> Float[Tensor, "batch row width"]:
        """A stack over rows at given places."""
        table = TokenTable.text(valid)
        names = dict(table.columns())
        names |= {"order": where, "position": where.float().unsqueeze(-1)}
        return stack(
            Stream(rows, TokenTable(**names)),
            cache=cache,
            execution=self.execution,
            losses=self.losses,
        )


def _started(
    rows: Tensor, start: Tensor, where: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A start row before all others, at place 0."""
    first = start.to(rows.dtype).expand(len(rows), 1, -1)
    padded = F.pad(where, (1, 0)), F.pad(valid, (1, 0), value=True)
    return torch.cat([first, rows], 1), *padded
