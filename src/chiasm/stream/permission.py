"""A visibility rule made concrete for one attention call; built only in `visibility`."""

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask


@dataclass(frozen=True)
class Permission:
    """Which queries may read which keys. At most one of the three forms is set; none means all.

    A query with no permitted key reads zeros.
    """

    causal: bool = False
    """Plain causal over equally many queries and keys, in storage order: no mask is built."""
    dense: Bool[Tensor, "batch query key"] | None = None
    block: BlockMask | None = None
