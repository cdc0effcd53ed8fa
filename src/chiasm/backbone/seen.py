"""Which ids a hierarchy has read so far, and which of them a call brings."""

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from chiasm.backbone.cache import Cache


class Seen:
    """All ids so far, in reading order, and which of them this call brings."""

    def __init__(
        self,
        ids: Int[Tensor, "batch id"],
        before: Int[Tensor, " batch"],
        fresh: Int[Tensor, " batch"],
        rows: int,
        *,
        first: bool,
    ) -> None:
        self.ids, self.before, self.count, self.first = ids, before, before + fresh, first
        steps = torch.arange(rows, device=ids.device)
        self.held = steps < fresh.unsqueeze(1)
        """Which of the call's rows, in reading order, are real."""
        places = before.unsqueeze(1) + steps
        self.new = torch.minimum(places, (ids.shape[1] - 1) + torch.zeros_like(places))
        """Where each of the call's rows stands among all ids."""

    @classmethod
    def after(cls, cache: Cache | None, new: Tensor, fresh: Tensor) -> "Seen":
        """What was seen before, if a cache tells, and then the new ids."""
        first = cache is None or "ids" not in cache.memory
        if first or cache is None:
            before, ids = torch.zeros_like(fresh), new
        else:
            old, before = (kept.long() for kept in cache.memory["ids"])
            ids = F.pad(old, (0, new.shape[1]))
            steps = torch.arange(new.shape[1], device=new.device)
            ids = ids.scatter(1, before.unsqueeze(1) + steps, new)
        if cache is not None:
            cache.memory["ids"] = (ids.int(), (before + fresh).int())
        return cls(ids, before, fresh, new.shape[1], first=first)

    def patches(self, at: Int[Tensor, "batch patch"], size: int) -> Int[Tensor, "batch patch id"]:
        """The ids of patches named by number; zeros beyond the last id."""
        steps = torch.arange(size, device=at.device)
        index = (at * size).unsqueeze(2) + steps
        found = self.ids.gather(1, index.flatten(1).clamp(max=self.ids.shape[1] - 1))
        return found.view_as(index) * (index < self.count.view(-1, 1, 1))
