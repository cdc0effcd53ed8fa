"""A decoder layer in which visual rows do less: attention and feed-forward in the host's place."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from chiasm.compressing.turning import turned
from chiasm.compression.heads import without_visual
from chiasm.compression.narrowed import first_units, heads_of
from chiasm.compression.operations import VisualOperations
from chiasm.layers import attend, softmax_over
from chiasm.stream import Permission


class Context(Protocol):
    """What a layer must know of the call."""

    done: VisualOperations
    masked: bool
    visual: Tensor | None
    columns: Tensor | None
    seen: Tensor | None


class LayerOperations:
    """The two `forward`s of a layer; the modules' own where nothing is to be taken away."""

    def __init__(self, context: Context, number: int, layer: Any) -> None:
        self.context, self.attention, self.mlp = context, layer.self_attn, layer.mlp
        self.own_attention, self.own_mlp = layer.self_attn.forward, layer.mlp.forward
        config = self.attention.config
        self.groups = config.num_attention_heads // config.num_key_value_heads
        device = self.attention.q_proj.weight.device
        active = context.done.active(number, config.num_attention_heads)
        self.active = torch.tensor(active, device=device)
        self.heads = self.active.nonzero().flatten()
        self.kv_heads = self.active[:: self.groups].nonzero().flatten()
        self.units = self.mlp.gate_proj.weight.shape[0] // context.done.split

    def attend(self, hidden_states: Tensor, *args: Any, **told: Any) -> Any:
        """In place of the attention module's `forward`."""
        context = self.context
        if context.masked and context.columns is not None:
            return self._attend_slowly(hidden_states, told), None
        if context.visual is not None:
            return self._attend(hidden_states, context.visual, told), None
        return self.own_attention(hidden_states, *args, **told)

    def think(self, x: Tensor) -> Tensor:
        """In place of the feed-forward module's `forward`."""
        visual = self.context.visual
        if visual is None or self.context.done.split == 1:
            return self.own_mlp(x)
        gate, up, down = (
            part.weight for part in (self.mlp.gate_proj, self.mlp.up_proj, self.mlp.down_proj)
        )
        if self.context.masked:
            hidden = self.mlp.act_fn(linear(x, gate)) * linear(x, up)
            unused = torch.arange(hidden.shape[-1], device=x.device) >= self.units
            return linear(hidden.masked_fill(visual.unsqueeze(-1) & unused, 0.0), down)
        made = torch.empty_like(x)
        made[~visual] = self.own_mlp(x[~visual])
        made[visual] = first_units(x[visual], gate, up, down, self.mlp.act_fn, self.units)
        return made

    def _attend(self, hidden: Tensor, visual: Tensor, told: dict[str, Any]) -> Tensor:
        """Only what is used is multiplied; sample by sample, as they differ in visual rows."""
        attention, seen = self.attention, self.context.seen
        assert seen is not None
        cosine, sine = (t.expand(hidden.shape[0], -1, -1) for t in told["position_embeddings"])
        k = self._key(hidden, cosine, sine)
        v = self._values(hidden, visual)
        if told.get("past_key_values") is not None:
            k, v = told["past_key_values"].update(k, v, attention.layer_idx)
        made = torch.empty_like(hidden)
        every = torch.arange(len(self.active), device=hidden.device)
        for batch in range(len(hidden)):
            for chosen, heads in ((~visual[batch], every), (visual[batch], self.heads)):
                rows = chosen.nonzero().flatten()
                q = self._query(hidden[batch, rows], heads, cosine[batch, rows], sine[batch, rows])
                of = heads // self.groups
                read = attend(
                    q[None],
                    k[batch, of][None],
                    v[batch, of][None],
                    Permission(dense=seen[batch, rows][None]),
                    scale=attention.scaling,
                )[0]
                out = attention.o_proj.weight.unflatten(1, (-1, attention.head_dim))[:, heads]
                flat = read.transpose(0, 1).flatten(1)
                made[batch, rows] = linear(flat, out.flatten(1), attention.o_proj.bias)
        return made

    def _values(self, hidden: Tensor, visual: Tensor) -> Tensor:
        """`[batch, kv_head, row, width]`: 0 where only inactive heads read a visual row."""
        project, width = self.attention.v_proj, self.attention.head_dim
        v = hidden.new_zeros(*hidden.shape[:2], project.weight.shape[0] // width, width)
        v[~visual] = project(hidden[~visual]).unflatten(-1, (-1, width))
        if len(self.kv_heads):
            own = _linear_of(project, hidden[visual], self.kv_heads, width)
            v[visual.nonzero(as_tuple=True)] = v[visual].index_copy(
                1, self.kv_heads, own.unflatten(-1, (-1, width))
            )
        return v.transpose(1, 2)

    def _key(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        k = self.attention.k_proj(hidden).unflatten(-1, (-1, self.attention.head_dim))
        if hasattr(self.attention, "k_norm"):
            k = self.attention.k_norm(k)
        return turned(k, cosine, sine).transpose(1, 2)

    def _query(self, hidden: Tensor, heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """`[head, row, width]` of some heads and rows of a sample."""
        width = self.attention.head_dim
        q = _linear_of(self.attention.q_proj, hidden, heads, width).unflatten(-1, (-1, width))
        if hasattr(self.attention, "q_norm"):
            q = self.attention.q_norm(q)
        return turned(q, cosine, sine).transpose(0, 1)

    def _attend_slowly(self, hidden: Tensor, told: dict[str, Any]) -> Tensor:
        """softmax(q k^T) with the weights of inactive heads on visual keys at 0, times v; and what
        those heads give visual rows at 0. Values are cached as they are.
        """
        attention, context = self.attention, self.context
        assert context.seen is not None and context.columns is not None
        tables = tuple(t.expand(hidden.shape[0], -1, -1) for t in told["position_embeddings"])
        width = attention.head_dim
        q = attention.q_proj(hidden).unflatten(-1, (-1, width))
        if hasattr(attention, "q_norm"):
            q = attention.q_norm(q)
        q, k = turned(q, *tables).transpose(1, 2), self._key(hidden, *tables)
        v = attention.v_proj(hidden).unflatten(-1, (-1, width)).transpose(1, 2)
        if told.get("past_key_values") is not None:
            k, v = told["past_key_values"].update(k, v, attention.layer_idx)
        k, v = (x.repeat_interleave(self.groups, 1) for x in (k, v))
        products = (q @ k.mT) * attention.scaling
        weights = softmax_over(products, context.seen.unsqueeze(1))
        read = without_visual(weights, context.columns, self.active) @ v
        if context.visual is not None:
            gone = context.visual[:, None, :, None] & ~self.active[None, :, None, None]
            read = read.masked_fill(gone, 0.0)
        return attention.o_proj(read.transpose(1, 2).flatten(2))


def _linear_of(project: nn.Linear, x: Tensor, heads: Tensor, width: int) -> Tensor:
    """A projection's outputs of some heads."""
    bias = None if project.bias is None else project.bias.unflatten(0, (-1, width))[heads].flatten()
    return linear(x, heads_of(project.weight, heads, width), bias)
