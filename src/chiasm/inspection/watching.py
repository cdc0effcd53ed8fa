"""Attention weights of one row a sample, read while a model runs and without changing what it says.

A fused kernel never writes its weights down. A cache hands every layer what it reads from, so a
cache whose keys watch their own reads sees each layer's queries, mask and further keys of memories,
and makes the weights again, explicitly: softmax(q k^T / sqrt(head_width)) over permitted keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.backbone import Cache, Execution, GrowingCache
from chiasm.errors import Misuse
from chiasm.inspection.subject import Asked, Subject
from chiasm.layers import attend, attention_map
from chiasm.spec.reading import Held
from chiasm.stream import Modality, Permission, TokenTable
from chiasm.stream.table import take

Told = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class WatchedKeys:
    """Keys and values that report the weights with which one row of each sample reads them."""

    keys: Float[Tensor, "batch kv_head key head_width"]
    values: Float[Tensor, "batch kv_head key head_width"]
    visual: Bool[Tensor, "batch key"]
    row: Int[Tensor, " batch"]
    """The place of the row among the queries."""
    tell: Told

    def extended(self, keys: Tensor, values: Tensor) -> "WatchedKeys":
        """With a memory's keys, all of them visual, behind those of the sequence."""
        more = self.visual.new_ones(keys.shape[0], keys.shape[2])
        return WatchedKeys(
            torch.cat([self.keys, keys], 2),
            torch.cat([self.values, values], 2),
            torch.cat([self.visual, more], 1),
            self.row,
            self.tell,
        )

    def attend(self, q: Tensor, permission: Permission) -> Tensor:
        """The model's own read; the weights are told on the way."""
        at = torch.arange(q.shape[0], device=q.device)
        asked = q[at, :, self.row].unsqueeze(2).float()
        if permission.dense is None:
            raise ValueError("weights are read under dense masks; run the model masked")
        seen = Permission(dense=permission.dense[at, self.row].unsqueeze(1))
        self.tell(attention_map(asked, self.keys.float(), seen).squeeze(2), self.visual)
        return attend(q, self.keys, self.values, permission)


@dataclass(frozen=True)
class Weights:
    """How one row of each sample reads in one layer."""

    weights: Float[Tensor, "batch head key"]
    visual: Bool[Tensor, "batch key"]


class WatchingCache(GrowingCache):
    """A cache of one call, whose layers' weights at the rows of the given `order` are kept."""

    def __init__(self, order: Int[Tensor, " batch"]) -> None:
        super().__init__()
        self.order = order
        self.seen: dict[int, Weights] = {}

    def append(self, layer: object, keys: Tensor, values: Tensor, table: TokenTable) -> Held:  # type: ignore[override]
        if not isinstance(layer, int) or self.held(layer) is not None:
            raise ValueError(f"layer {layer} is no plain layer of one call")
        super().append(layer, keys, values, table)
        row = ((table.order == self.order.unsqueeze(1)) & table.valid).int().argmax(1)
        visual = (table.modality == int(Modality.IMAGE)) & table.valid
        return WatchedKeys(keys, values, visual, row, self._of(layer))

    def _of(self, layer: int) -> Told:
        def tell(weights: Tensor, visual: Tensor) -> None:
            self.seen[layer] = Weights(weights, visual)

        return tell


@torch.no_grad()
def watch(subject: Subject, asked: Asked) -> tuple[list[Weights], Float[Tensor, "batch word"]]:
    """Every layer's weights at the last prompt row, and the logits there.

    The model runs masked: every row, under dense masks (`Execution.MASKED`), which planned
    execution equals.

    Raises:
        Misuse: no layer reads a picture with its heads, as where another module reads it.
    """
    subject.one_stack()
    rows = asked.ends.unsqueeze(1)
    cache: Cache = WatchingCache(take(asked.inputs.table.order, rows).squeeze(1))
    hidden = subject.model.hidden(asked.inputs, cache=cache, execution=Execution.MASKED)
    assert isinstance(cache, WatchingCache)
    found = [cache.seen[layer] for layer in sorted(cache.seen)]
    if not found or not any(bool(one.visual.any()) for one in found):
        raise Misuse(
            f"no head of {subject.asker.checkpoint.folder.name} reads a picture: its pictures are "
            "not rows of the sequence; inspect a model whose fusion enters them there"
        )
    return found, subject.model.scores(take(hidden, rows)).squeeze(1)
