"""Tensors without values, and every operation on them: sizes, strides and types alone."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from chiasm.errors import ChiasmError

aten = torch.ops.aten
_LEARNED = "how many rows are computed depends on what the weights have learned; it is not foreseen"


class Unforeseen(ChiasmError):
    """What is computed depends on values, and these tensors have none."""


class Hollow(Tensor):
    """A tensor without values; `inner` lies on the meta device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Hollow":
        made = Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=torch.device("cpu"),
        )
        made.inner = inner
        return made

    def __repr__(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return f"Hollow({tuple(self.shape)}, {self.dtype})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return on_sizes(func, args, dict(kwargs or {}))


def on_sizes(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on sizes alone."""
    if func in _ASSUMED:
        return _ASSUMED[func](*args, **kwargs)
    if func is aten.index.Tensor:
        places = [_places(index) for index in args[1]]
        args = (args[0], [one for each in places for one in each], *args[2:])
    own = {id(leaf.inner): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Hollow)}
    made = on_meta(func, args, kwargs)
    if func is aten.convolution.default and channels_last(args[0]):
        made = made.contiguous(memory_format=torch.channels_last)

    def outer(inner: Tensor) -> Tensor:
        return own[id(inner)] if id(inner) in own else Hollow(inner)

    return tree_map_only(Tensor, outer, made)


def on_meta(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    args, kwargs = tree_map_only(Tensor, _inner, (args, kwargs))
    if "device" in kwargs or not any(isinstance(leaf, Tensor) for leaf in tree_leaves(args)):
        kwargs = {**kwargs, "device": torch.device("meta")}
    return func(*args, **kwargs)


def _inner(tensor: Tensor) -> Tensor:
    if isinstance(tensor, Hollow):
        return tensor.inner
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _places(index: Tensor | None) -> tuple[Tensor | None, ...]:
    """An index by places: a mask is counted."""
    if index is None or index.dtype != torch.bool:
        return (index,)
    return index.nonzero(as_tuple=True)


def channels_last(picture: Tensor) -> bool:
    """Whether channels are stored last, and so read by kernels."""
    last = picture.dim() == 4 and picture.is_contiguous(memory_format=torch.channels_last)
    return last and not picture.is_contiguous()


def _scalar(value: Tensor) -> bool:
    """A condition is taken to hold: rows are alive, masks hide something."""
    if value.dtype != torch.bool:
        raise Unforeseen(_LEARNED)
    return True


def _places_of(mask: Tensor, *, as_tuple: bool = False) -> Tensor:
    raise Unforeseen(_LEARNED)


def _even(values: Tensor, weights: object = None, minlength: int = 1) -> Tensor:
    """How many of each number: experts are taken to be chosen evenly."""
    each, rest = divmod(values.numel(), minlength)
    return torch.full((minlength,), each) + (torch.arange(minlength) < rest)


def _chosen(scores: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Ids chosen by their scores: real ones, since rows are laid out by them."""
    shape = aten.argmax.default(scores.inner, dim, keepdim).shape  # pyright: ignore
    return torch.zeros(shape, dtype=torch.long)


def _grouped(
    a: Tensor, b: Tensor, offs: Tensor | None = None, bias: object = None, out_dtype: object = None
) -> Tensor:
    """Runs of rows by matrices of their own; torch knows the sizes in bfloat16 alone."""
    runs = () if a.dim() + b.dim() == 5 or offs is None else (offs.shape[0],)
    return Hollow(torch.empty(*runs, a.shape[-2], b.shape[-1], dtype=a.dtype, device="meta"))


def _updated(*lists: Any, **_: Any) -> None:
    """A fused optimiser's step changes values only."""


_ASSUMED: Mapping[Any, Callable[..., Any]] = {
    aten._local_scalar_dense.default: _scalar,
    aten.nonzero.default: _places_of,
    aten.bincount.default: _even,
    aten.argmax.default: _chosen,
    aten._grouped_mm.default: _grouped,
    aten._fused_adamw_.default: _updated,
}
