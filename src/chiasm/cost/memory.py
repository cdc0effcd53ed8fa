"""Measured peak memory: live tensor bytes on a CPU, the allocator's own count on a GPU."""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger:
    """Bytes of the storages that are alive, and the most that ever were at once."""

    def __init__(self) -> None:
        self._known: dict[int, weakref.ref[Any]] = {}
        self.live = self.peak = 0

    def enter(self, storage: torch.UntypedStorage, *, counted: bool = True) -> None:
        """Follows a storage until its release; one that is not `counted` weighs nothing."""
        key, size = storage._cdata, storage.nbytes() if counted else 0
        if key in self._known:
            return

        def leave(_: object) -> None:
            del self._known[key]
            self.live -= size

        self._known[key] = weakref.ref(storage, leave)
        self.live += size
        self.peak = max(self.peak, self.live)


class LiveBytes(TorchDispatchMode):
    """Follows the storages that operations make while the mode is on, from birth to release.

    `peak` is the most bytes alive at once, those of `held` tensors included; other tensors that
    were there before are not counted. Views share a storage and count once. Operations made of
    others are taken apart, so that what they hold in between is seen; the inner workspaces of
    kernels are not.
    """

    def __init__(self, held: tuple[Tensor, ...] = ()) -> None:
        super().__init__()
        self.ledger = Ledger()
        for tensor in held:
            self._enter(tensor)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor):
                self._enter(leaf, counted=False)
        with self:
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._enter(leaf)
        return result

    @property
    def live(self) -> int:
        return self.ledger.live

    @property
    def peak(self) -> int:
        return self.ledger.peak

    def _enter(self, tensor: Tensor, *, counted: bool = True) -> None:
        self.ledger.enter(tensor.untyped_storage(), counted=counted)


def peak_memory(model: nn.Module, run: Callable[[], object]) -> int:
    """Most bytes alive while `run` runs, the model's weights and buffers included.

    On a CPU, tensors that existed before and are not the model's (the inputs) are not counted; on a
    GPU the allocator counts everything.
    """
    tensors = (*model.parameters(), *model.buffers())
    if tensors and tensors[0].is_cuda:
        device = tensors[0].device
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    with LiveBytes(tensors) as meter:
        run()
    return meter.peak
