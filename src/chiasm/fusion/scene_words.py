"""Layers read a picture, then, behind a gate, the words that were found in it (UniTNT)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.fusion.entry import AsMemory
from chiasm.fusion.kept import given
from chiasm.fusion.word_encoder import WordEncoder
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear
from chiasm.stream import TEXT, Permission, Role


@dataclass(frozen=True, kw_only=True)
class SceneWords(AsMemory):
    """Between the halves of every layer, V the picture's tokens and O its words' (arXiv
    2301.07389):

        h <- h + XAttn(LN h, V);    h <- h + tanh(g) XAttn'(LN' h, O),    g = `words_gate` at first.

    Heads are the host's. O is what `words` makes of `Inputs.spotted`; a row that sees no word reads
    zeros, and without words no work is done for them, nor billed. Which pictures, and so whose
    words, a row sees is the memory's rule.

    Taught besides, each with weight 1: the words' encoder tells hidden words from the others, and a
    linear map of the prompt's last state tells whether the answer is among the words.
    """

    words: WordEncoder
    words_gate: float = 0.0
    """Where g starts; the read of the picture has no gate."""

    @property
    def looks_ahead(self) -> bool:
        """Words are read beside the whole prompt."""
        return True

    @property
    def reads_words(self) -> bool:
        """True: `Inputs.spotted` is of use."""
        return True

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        """Raises Misuse for a host without attention."""
        if not host.heads:
            raise Misuse(
                "words and pictures are read by heads like the host's, but the host has none; "
                "choose a host with attention"
            )
        reads = {
            layer: BothReads(host, parts.memory_width, self.words_gate)
            for layer in range(host.depth)
        }
        return Slots(
            between=reads,
            prologue=self.words.build(host.vocabulary, host.width, parts.memory_width),
            epilogue=SeenOrRead(host.width),
        )

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        inner = host.heads * host.head_width
        each = (
            linear("decoder", "cross query and output", text, host.width, 2 * inner),
            linear("decoder", "cross key and value", tokens, width, 2 * inner, once=True),
            attention(
                "decoder",
                "cross read",
                text * tokens,
                host.heads,
                host.head_width,
                reads=Reads.MEMORY,
            ),
        )
        return each * host.depth

    def cached(self, host: Host, tokens: int) -> int:
        return host.depth * 2 * host.heads * host.head_width * tokens


class Read(nn.Module):
    """W_o attention(W_q LN(h), K, V)."""

    def __init__(self, host: Host, memory_width: int) -> None:
        super().__init__()
        self.heads, inner = host.heads, host.heads * host.head_width
        self.norm = nn.LayerNorm(host.width, eps=host.norm_eps)
        self.to_q = nn.Linear(host.width, inner, bias=False)
        self.to_kv = nn.Linear(memory_width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, host.width, bias=False)

    def keys(self, tokens: Float[Tensor, "batch memory width"]) -> tuple[Tensor, Tensor]:
        k, v = self.to_kv(tokens).chunk(2, -1)
        return split_heads(k, self.heads), split_heads(v, self.heads)

    def forward(
        self, hidden: Tensor, keys: Tensor, values: Tensor, permission: Permission
    ) -> Float[Tensor, "batch token width"]:
        q = split_heads(self.to_q(self.norm(hidden)), self.heads)
        return self.to_out(merge_heads(attend(q, keys, values, permission)))


class BothReads(nn.Module):
    """One layer's reads; keys and values of either are kept for the steps after the prompt."""

    def __init__(self, host: Host, memory_width: int, words_gate: float) -> None:
        super().__init__()
        self.picture, self.words = Read(host, memory_width), Read(host, memory_width)
        self.gate = nn.Parameter(torch.full((1,), words_gate))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        permission = reading.dense_permission
        if permission is None or permission.dense is None:
            return hidden
        spotted, at = reading.call.stream.spotted, reading.layer
        words = 0 if spotted is None else spotted.ids.shape[1]

        def of_picture(tokens: Tensor) -> tuple[Tensor, Tensor]:
            return self.picture.keys(tokens[:, : tokens.shape[1] - words])

        def of_words(tokens: Tensor) -> tuple[Tensor, Tensor]:
            return self.words.keys(tokens[:, tokens.shape[1] - words :])

        k, v = given(reading, of_picture, (at, "picture"))
        seen, read = permission.dense.tensor_split([k.shape[2]], dim=2)
        hidden = hidden + self.picture(hidden, k, v, Permission(dense=seen))
        if not read.shape[2]:
            return hidden
        k, v = given(reading, of_words, (at, "words"))
        return hidden + self.gate.tanh() * self.words(hidden, k, v, Permission(dense=read))


class SeenOrRead(nn.Module):
    """The epilogue: hidden states as they are; what is asked besides joins the losses."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.judge = nn.Linear(width, 1)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        spotted, losses = reading.call.stream.spotted, reading.losses
        if spotted is None or losses is None:
            return hidden
        if spotted.loss is not None:
            losses.add("spotted_words", spotted.loss)
        answered = spotted.answered
        if answered is not None and bool((answered >= 0).any()):
            told = answered >= 0
            logits = self.judge(self._last(hidden, reading)).squeeze(-1).float()
            loss = F.binary_cross_entropy_with_logits(logits[told], answered[told])
            losses.add("answer_is_read", loss)
        return hidden

    @staticmethod
    def _last(hidden: Tensor, reading: Reading) -> Float[Tensor, "batch width"]:
        """The state of each prompt's last row."""
        table = reading.table
        prompt = TEXT.select(table) & table.valid & (table.role != int(Role.ASSISTANT))
        last = table.order.masked_fill(~prompt, -1).argmax(1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]
