"""Latents that read an array, or each other, and think: Perceiver's one layer."""

from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.layers.attention import attend, merge_heads, split_heads
from chiasm.stream import Permission


class LatentRead(nn.Module):
    """z + W_o attention(q(LN z), k(LN x), v(LN x)), then z + mlp(LN z) (arXiv 2103.03206).

    Elements of an array are `array_width` wide and have a norm of their own; with None, the latents
    read each other and one norm serves both. `keys` and `values` are widths, heads together.
    """

    def __init__(
        self,
        width: int,
        array_width: int | None,
        *,
        keys: int,
        values: int,
        heads: int,
        hidden: int,
        activation: str = "gelu",
        residual: bool = True,
    ) -> None:
        super().__init__()
        source = width if array_width is None else array_width
        self.heads, self.residual = heads, residual
        self.norm_latents = nn.LayerNorm(width)
        self.norm_array = None if array_width is None else nn.LayerNorm(array_width)
        self.query = nn.Linear(width, keys)
        self.key = nn.Linear(source, keys)
        self.value = nn.Linear(source, values)
        self.output = nn.Linear(values, width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.activation = ACT2FN[activation]
        self.contract = nn.Linear(hidden, width)

    def forward(
        self,
        latents: Float[Tensor, "batch latent width"],
        array: Float[Tensor, "batch element array_width"] | None,
        permission: Permission,
    ) -> Float[Tensor, "batch latent width"]:
        """The latents after reading the array, or each other where it has none."""
        normed = self.norm_latents(latents)
        source = normed
        if array is not None and self.norm_array is not None:
            source = self.norm_array(array)
        q, k, v = (
            split_heads(part, self.heads)
            for part in (self.query(normed), self.key(source), self.value(source))
        )
        read = self.output(merge_heads(attend(q, k, v, permission)))
        latents = latents + read if self.residual else read
        return latents + self.contract(self.activation(self.expand(self.norm(latents))))
