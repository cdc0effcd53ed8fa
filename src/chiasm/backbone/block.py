"""One layer: attention (or another mixer) and feed-forward, on the rows that its plan names."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.backbone.attention import Attention, Step
from chiasm.backbone.cache import Key
from chiasm.backbone.recurrent import Recurrent
from chiasm.spec.host import Host
from chiasm.spec.slots import NormSite, Weights


def put(
    hidden: Float[Tensor, "batch token width"],
    rows: slice,
    new: Tensor,
    changes: Tensor | None = None,
) -> Float[Tensor, "batch token width"]:
    """`hidden` with a run of rows replaced; with `changes`, only where it is True."""
    if changes is not None:
        new = torch.where(changes, new, hidden[:, rows])
    if rows.start == 0 and rows.stop == hidden.shape[1]:
        return new
    return torch.cat([hidden[:, : rows.start], new, hidden[:, rows.stop :]], dim=1)


class Block(nn.Module):
    """One layer in its host's arrangement, n and m its norms, each half on the plan's rows.

    pre:      h = h + attention(n(h));     h = h + feed_forward(m(h))
    post:     h = n(h + attention(h));     h = m(h + feed_forward(h))
    parallel: h = h + attention(n(h)) + feed_forward(n(h))
    """

    def __init__(self, host: Host, layer: int, weights: Weights, key: Key | None = None) -> None:
        super().__init__()
        own = layer if key is None else key
        self.arrangement = host.arrangement
        self.self_attn = self.mixer = None
        if host.mixer is None:
            self.self_attn = Attention(host, layer, weights, own)
        else:
            self.mixer = Recurrent(host, host.mixer, layer, weights, own)
        self.mlp = weights.feed_forward(layer)
        self.input_layernorm = weights.norm(layer, NormSite.ATTENTION, host.width)
        self.post_attention_layernorm = None
        if self.mlp is not None and host.arrangement != "parallel":
            self.post_attention_layernorm = weights.norm(layer, NormSite.FEED_FORWARD, host.width)
        self.attention_scale = self.feed_forward_scale = None
        if host.layer_scale is not None:
            self.attention_scale = nn.Parameter(torch.full((host.width,), host.layer_scale))
            self.feed_forward_scale = nn.Parameter(torch.full((host.width,), host.layer_scale))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], step: Step
    ) -> Float[Tensor, "batch token width"]:
        if self.arrangement == "post":
            return self._post(hidden, step)
        return (
            self._pre(hidden, step) if self.arrangement == "pre" else self._parallel(hidden, step)
        )

    def _pre(self, hidden: Tensor, step: Step) -> Tensor:
        hidden = self._write(hidden, step, self._attended(hidden, step))
        if step.between is not None:
            hidden = step.between(hidden, step.reading)
        if self.mlp is None or self.post_attention_layernorm is None:
            return hidden
        run = step.runs.feed_forward
        of_run = step.reading.on(run)
        normed = self.post_attention_layernorm(hidden[:, run], of_run)
        return self._write_thought(hidden, step, self.mlp(normed, of_run))

    def _post(self, hidden: Tensor, step: Step) -> Tensor:
        read = step.reading
        output, run = step.runs.output, step.runs.feed_forward
        update = self._mix(hidden, 0, nn.Identity(), step)
        new = self.input_layernorm(
            hidden[:, output] + self._scaled(update, self.attention_scale), read.on(output)
        )
        hidden = put(hidden, output, new, None if step.updates is None else step.updates.output)
        if step.between is not None:
            hidden = step.between(hidden, read)
        if self.mlp is None or self.post_attention_layernorm is None:
            return hidden
        of_run, rows = read.on(run), hidden[:, run]
        thought = self._scaled(self.mlp(rows, of_run), self.feed_forward_scale)
        new = self.post_attention_layernorm(rows + thought, of_run)
        return put(hidden, run, new, None if step.updates is None else step.updates.feed_forward)

    def _parallel(self, hidden: Tensor, step: Step) -> Tensor:
        read = self._attended(hidden, step)
        of_run = step.reading.on(step.runs.feed_forward)
        assert self.mlp is not None
        thought = self.mlp(self.input_layernorm(hidden[:, of_run.rows], of_run), of_run)
        return self._write_thought(self._write(hidden, step, read), step, thought)

    def _attended(self, hidden: Tensor, step: Step) -> Tensor:
        """The update of the output rows; only rows that query or are read are normed."""
        query, key_value = step.runs.query, step.runs.key_value
        rows = slice(min(query.start, key_value.start), max(query.stop, key_value.stop))
        normed = self.input_layernorm(hidden[:, rows], step.reading.on(rows))
        return self._mix(normed, rows.start, self.input_layernorm, step)

    def _mix(self, normed: Tensor, first: int, norm: nn.Module, step: Step) -> Tensor:
        mixer = cast(nn.Module, self.mixer if self.self_attn is None else self.self_attn)
        return mixer(normed, first, norm, step)

    def _write(self, hidden: Tensor, step: Step, update: Tensor) -> Tensor:
        rows, changes = step.runs.output, None if step.updates is None else step.updates.output
        new = hidden[:, rows] + self._scaled(update, self.attention_scale)
        return put(hidden, rows, new, changes)

    def _write_thought(self, hidden: Tensor, step: Step, update: Tensor) -> Tensor:
        rows = step.runs.feed_forward
        changes = None if step.updates is None else step.updates.feed_forward
        new = hidden[:, rows] + self._scaled(update, self.feed_forward_scale)
        return put(hidden, rows, new, changes)

    @staticmethod
    def _scaled(update: Tensor, scale: Tensor | None) -> Tensor:
        return update if scale is None else update * scale
