"""One call of a host's decoder under reducers: what is cut where, and what every layer is told."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.compressing.cut_cache import CutLayer, cut_from
from chiasm.compressing.decoder_attention import HostAttention
from chiasm.compressing.host import Host
from chiasm.compressing.packed_layer import packed_from
from chiasm.compressing.rows import Rows, everything, masks_of
from chiasm.compressing.sample import Sample
from chiasm.compressing.showing import Attends, Shown
from chiasm.compression.reducer import Reducer, by_layer
from chiasm.compression.visual_kv import VisualKV
from chiasm.errors import Misuse
from chiasm.stream.table import packed, take, unpacked

SOMETHING = (1, 1, 1, 1)
"""Shape of the mask the decoder is given where every layer is given its own: transformers takes a
4-D mask as it is, and then neither makes one nor looks for packed sequences in the positions."""


class Reducing:
    """The decoder's part of one call.

    Until something is dropped nothing at all is changed, so a budget of everything is the model
    itself. With `masked`, rows stay and are hidden from all others instead: the slow reference.
    """

    def __init__(
        self,
        host: Host,
        reducers: Sequence[Reducer],
        samples: Sequence[Sample],
        told: dict[str, Any],
        *,
        masked: bool,
        visual_kv: VisualKV | None = None,
    ) -> None:
        self.host, self.masked, self.samples = host, masked, samples
        self.visual_kv = visual_kv
        self.by_layer = by_layer(reducers if samples else ())
        embeddings: Tensor = told["inputs_embeds"]
        self.batch, self.length = embeddings.shape[:2]
        cache = told.get("past_key_values")
        self.past = 0 if cache is None else int(cache.get_seq_length())
        self.given: Tensor | None = told.get("attention_mask")
        if self.given is not None and self.given.dim() != 2:
            raise Misuse(
                f"an attention mask of {self.given.dim()} dimensions cannot be cut; give 2"
            )
        self.rows = everything(self.batch, self.past, self.length, self.given, embeddings.device)
        self.cut = False
        """Whether any row of this call is gone, or hidden."""
        self.slots: Tensor | None = None
        """Which of the rows that entered the decoder each row is, once some went inside it."""
        self.counts = [(0, sum(map(len, samples)))]
        """Visual tokens of the batch from a layer on."""
        self.visual = torch.zeros_like(self.rows.alive)
        """Which of the call's own rows are visual."""
        for number, sample in enumerate(samples):
            self.visual[number, sample.rows] = True
        self._mask = masks_of(host.decoder.config._attn_implementation)  # type: ignore[union-attr]
        self._before: Attends | None = None
        """The attention of the layer before, where the next reducer may ask for it."""
        self._tables: tuple[Tensor, ...] | None = None
        """Rotary tables of the rows inside the decoder, made once a cut."""

    def enter(self, told: dict[str, Any]) -> None:
        """Change what the decoder is told to what stays before its first layer."""
        at_entry = self.by_layer.get(0, ())
        if at_entry:
            shown = Shown(told["inputs_embeds"], self.rows, self.past)
            for reducer in at_entry:
                told["inputs_embeds"] = self._reduce(reducer, shown, 0)
                shown = Shown(told["inputs_embeds"], self.rows, self.past)
        if self.cut and not self.masked:
            self._cut_arguments(told)
        self.slots = None
        cache = told.get("past_key_values")
        if self.cut or _is_cut(cache, 0):
            told["attention_mask"] = torch.ones(
                SOMETHING, dtype=torch.bool, device=self.rows.index.device
            )

    def _cut_arguments(self, told: dict[str, Any]) -> None:
        """Positions, and what is added to visual rows behind the first layers, of the rows kept."""
        slots = self.rows.index - self.past
        positions = told.get("position_ids")
        if positions is None:
            positions = torch.arange(self.length, device=slots.device)[None] + self.past
        positions = positions.expand(*positions.shape[:-2], self.batch, -1)
        told["position_ids"] = positions.gather(-1, slots.expand(*positions.shape[:-1], -1))
        visual = told.get("visual_pos_masks")
        if visual is not None:
            numbers = visual.flatten().cumsum(0).view(visual.shape) - 1
            kept = visual.gather(1, slots) & self.rows.alive
            chosen = numbers.gather(1, slots)[kept]
            told["visual_pos_masks"] = kept
            told["deepstack_visual_embeds"] = [
                one[chosen] for one in told["deepstack_visual_embeds"]
            ]

    def begin(self, number: int, layer: nn.Module, told: dict[str, Any]) -> None:
        """Look and cut before a layer, and change what it is told accordingly."""
        cache, entered = told.get("past_key_values"), dict(told)
        told.update(self._turned(entered))
        held = self._held(cache, number) if self.by_layer else None

        def attends() -> HostAttention:
            tables = told["position_embeddings"]
            return HostAttention(layer, told["hidden_states"], self.rows, tables, held)

        here = Shown(told["hidden_states"], self.rows, self.past, attends(), self._before)
        if number:
            for reducer in self.by_layer.get(number, ()):
                told["hidden_states"] = self._reduce(reducer, here, number)
                told.update(self._turned(entered))
                here = here.now(told["hidden_states"], self.rows, attends())
        self._before = here.attends if number + 1 in self.by_layer else None
        if self.visual_kv is not None and cache is not None:
            self._pack(cache, number, told, self.visual_kv)
        elif self.cut or _is_cut(cache, number):
            columns = self._columns(cache, number)
            told["attention_mask"] = self._mask(self.rows, columns, told["hidden_states"].dtype)

    def _pack(self, cache: Any, number: int, told: dict[str, Any], how: VisualKV) -> None:
        """Have the layer's visual rows packed; earlier ones are read under a mask of their own."""
        layer = packed_from(cache, number, self._earlier() if self.past else None, how)
        layer.awaiting(self.visual.gather(1, self.rows.index - self.past) & self.rows.alive)
        columns = layer.extend(self.rows, self.past + self.length)
        make = masks_of("sdpa") if layer.packed else self._mask
        told["attention_mask"] = make(self.rows, columns, told["hidden_states"].dtype)

    def _turned(self, told: dict[str, Any]) -> dict[str, Any]:
        """Rotary tables and positions of this layer's rows, of those of the rows that entered."""
        if self.slots is None:
            return {}
        if self._tables is None:
            self._tables = tuple(_rows_of(t, self.slots) for t in told["position_embeddings"])
        positions = told.get("position_ids")
        if positions is not None:
            positions = positions.expand(self.batch, -1).gather(1, self.slots)
        return {"position_embeddings": self._tables, "position_ids": positions}

    def _held(self, cache: Any, number: int) -> tuple[Tensor, Rows] | None:
        """Keys of earlier calls at a layer, and which rows they are of."""
        if cache is None or not self.past:
            return None
        layer = cache.layers[number]
        columns = layer.columns if isinstance(layer, CutLayer) else self._earlier()
        keys = layer.earlier_keys() if isinstance(layer, CutLayer) else layer.keys
        return None if keys is None or columns is None else (keys, columns)

    def _earlier(self) -> Rows:
        return everything(self.batch, 0, self.past, self.given, self.rows.index.device)

    def _columns(self, cache: Any, number: int) -> Rows:
        """All rows the layer will have keys of, this call's included."""
        if cache is None:
            return self.rows
        layer = cut_from(cache, number, self._earlier() if self.past else None)
        return layer.extend(self.rows, self.past + self.length)

    def _reduce(self, reducer: Reducer, shown: Shown, number: int) -> Tensor:
        """Hidden states of the rows that stay; `rows` and `slots` are then theirs."""
        left = shown.reduced(reducer, self.samples, self.host.projector)
        if left is None:
            return shown.hidden
        hidden, gone = left
        self.cut = True
        self.counts.append((number, sum(map(len, self.samples))))
        if self.masked:
            self.rows = self.rows.hiding(gone)
            return hidden
        slots, alive = packed(self.rows.alive & ~gone)
        self.rows = self.rows.take(slots, alive)
        self.slots = slots if self.slots is None else self.slots.gather(1, slots)
        self._tables = None
        return take(hidden, slots)

    def leave(self, states: Float[Tensor, "batch kept width"]) -> Float[Tensor, "batch row width"]:
        """Final states in the uncut prompt's rows; those that are gone, and padding, are zero."""
        if not self.cut or self.masked:
            return states
        return unpacked(states, self.rows.index - self.past, self.rows.alive, self.length)


def _is_cut(cache: Any, number: int) -> bool:
    return (
        cache is not None
        and number < len(cache.layers)
        and isinstance(cache.layers[number], CutLayer)
    )


def _rows_of(table: Tensor, slots: Int[Tensor, "batch kept"]) -> Tensor:
    """`[batch or 1, row, width]` to `[batch, kept, width]`."""
    return take(table.expand(slots.shape[0], -1, -1), slots)
