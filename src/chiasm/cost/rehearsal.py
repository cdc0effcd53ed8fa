"""A run in which nothing is allocated: the model's own code over tensors that have no values.

Weights and pixels are `chiasm.cost.hollow` tensors, which say that they are on the CPU; what is
computed from them is hollow again. Tables of rows are real, so that everything the engine decides
by looking at them (layouts, masks, counts) is decided as it would be. Bytes are followed from birth
to release as in `chiasm.cost.memory`, of storages that were never filled.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from chiasm.cost.hollow import Hollow, channels_last, on_meta, on_sizes
from chiasm.cost.memory import Ledger

aten = torch.ops.aten
LARGE = 1 << 22
"""Real tensors of more numbers than this are made hollow: no mask of a long context is filled."""
_COMPOSITE = "CompositeImplicitAutograd"
_CONVOLUTIONS = (aten.convolution.default, aten.convolution_backward.default)


class Rehearsal(TorchDispatchMode):
    """Counts the bytes alive while hollow (and small real) tensors are worked on."""

    def __init__(self, held: tuple[Tensor, ...] = ()) -> None:
        super().__init__()
        self.ledger = Ledger()
        for tensor in held:
            self._enter(tensor)

    @property
    def peak(self) -> int:
        return self.ledger.peak

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:
                result = func.decompose(*args, **given)
            if result is not NotImplemented:
                return result
        workspace = None
        if func in _CONVOLUTIONS:
            with self:
                args = tuple(_in_one_format(args))
                workspace = _workspace(func, args)
        leaves = tree_leaves((args, given))
        if any(isinstance(leaf, Hollow) for leaf in leaves):
            result = on_sizes(func, args, given)
        else:
            for leaf in leaves:
                if isinstance(leaf, Tensor):
                    self._enter(leaf, counted=False)
            result = _real(func, args, given)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._enter(leaf)
        del workspace
        return result

    def _enter(self, tensor: Tensor, *, counted: bool = True) -> None:
        of = tensor.inner if isinstance(tensor, Hollow) else tensor
        self.ledger.enter(of.untyped_storage(), counted=counted)


def hollowed(model: nn.Module) -> nn.Module:
    """The same module, built on the meta device, with hollow weights and buffers in place."""
    made: dict[int, Tensor] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in made:
                    weight = Hollow(parameter.detach())
                    made[id(parameter)] = nn.Parameter(weight, parameter.requires_grad)
                module._parameters[name] = made[id(parameter)]  # pyright: ignore
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = made.setdefault(id(buffer), Hollow(buffer))
    return model


def _real(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation itself, unless what it makes is large."""
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if given and max(tensor.numel() for tensor in given) ** 2 <= LARGE:
        return func(*args, **kwargs)
    try:
        sketch = on_meta(func, args, kwargs)
    except (RuntimeError, NotImplementedError):
        # What it makes depends on values (which rows are chosen); it is no larger than they.
        return func(*args, **kwargs)
    made = [leaf for leaf in tree_leaves(sketch) if isinstance(leaf, Tensor)]
    if sum(tensor.numel() for tensor in made) <= LARGE or func._schema.is_mutable:
        return func(*args, **kwargs)
    return tree_map_only(Tensor, Hollow, sketch)


def _in_one_format(args: tuple[Any, ...]) -> Iterator[Any]:
    """A convolution's arguments, rows and weights copied where one of them has channels last."""
    pictures = [x for x in args if isinstance(x, Hollow) and x.dim() == 4]
    copied = any(channels_last(x) for x in pictures)
    for x in args:
        four = copied and isinstance(x, Hollow) and x.dim() == 4
        yield x.contiguous(memory_format=torch.channels_last) if four else x


def _workspace(func: Any, args: tuple[Any, ...]) -> Tensor | None:
    """What a convolution holds besides on a CPU: its weights once more, packed, where channels are
    stored last; the pixels under every place of its kernel, where no kernel knows the type.
    """
    pictures = [x for x in args if isinstance(x, Hollow) and x.dim() == 4]
    if not pictures:
        return None
    weight = pictures[-1]
    unknown = weight.dtype != torch.float32 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if unknown and func is aten.convolution.default:
        out = on_meta(func, args, {})
        places = out.shape[2] * out.shape[3] if weight[0, 0].numel() > 1 else 0
        return weight.new_empty(out.shape[0], weight[0].numel(), places)
    return weight.clone() if any(channels_last(x) for x in pictures) else None
