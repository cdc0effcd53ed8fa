"""Attention of a transformers decoder over packed rows, beside the one it was loaded with."""

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from chiasm.compressing.rows import MASKS
from chiasm.compression.visual_kv import SplitRows
from chiasm.stream import Permission


def _reading_packed(implementation: str) -> Callable[..., tuple[Tensor, Any]]:
    """The attention of this name, but packed rows are read from their codes."""

    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **kwargs: Any,
    ) -> tuple[Tensor, Any]:
        rows: SplitRows | None = getattr(key, "packed_rows", None)
        if rows is None:
            # Not every modeling file has the eager function in the register.
            eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
            plain = ALL_ATTENTION_FUNCTIONS.get_interface(implementation, eager)  # type: ignore[arg-type]
            return plain(module, query, key, value, attention_mask, **kwargs)
        permission = Permission()
        if attention_mask is not None:
            permission = Permission(dense=attention_mask[:, 0])
        read = rows.attend(query, permission, scale=kwargs.get("scaling"))
        return read.transpose(1, 2).contiguous(), None

    return attention


PREFIX = "chiasm_packed_"
for _name in MASKS:
    AttentionInterface.register(PREFIX + _name, _reading_packed(_name))


@contextmanager
def packed_attention(layers: nn.ModuleList) -> Iterator[None]:
    """While it is entered, the layers' attention reads packed rows.

    Only the attention modules see another name of an implementation, in a configuration of their
    own: masks are made by the decoder's, which is left alone.
    """
    attentions: list[Any] = [layer.self_attn for layer in layers]
    found = [attention.config for attention in attentions]
    try:
        for attention, config in zip(attentions, found, strict=True):
            own = copy.copy(config)
            own._attn_implementation_internal = PREFIX + config._attn_implementation
            attention.config = own
        yield
    finally:
        for attention, config in zip(attentions, found, strict=True):
            attention.config = config
