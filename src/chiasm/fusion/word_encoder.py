"""Words found in pictures become rows of a memory: ids and boxes, read beside the question."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec.reading import Execution
from chiasm.stream import TEXT, Memory, Modality, Permission, Role, Spotted, Stream, TokenTable
from chiasm.stream.table import take

CELLS = 1000
"""Cells of a picture's edge."""
MASKED = 0.15
"""Share of the words that are hidden while their encoder is taught to tell them."""


@dataclass(frozen=True, kw_only=True)
class WordEncoder:
    """`depth` pre-norm layers without a mask over [question; words], a BERT with the boxes' places
    (LayoutLM, arXiv 1912.13318):

        word      E[id] + X[x0] + X[x1] + Y[y0] + Y[y1] + W[w] + H[h] + P[i] + T[1]
        question  M q + P[j] + T[0]

    for the i-th word and the j-th of the prompt's words q, the host's embeddings of them.
    """

    depth: int
    heads: int
    head_width: int
    ff_width: int
    longest: int = 512
    """Places in P; what stands beyond shares the last."""
    initial_std: float = 0.02

    def build(self, vocabulary: int, host_width: int, memory_width: int) -> "ReadWords":
        return ReadWords(self, vocabulary, host_width, memory_width)


class WordLayer(nn.Module):
    """x += attention(n(x)); x += down(gelu(up(m(x))))."""

    def __init__(self, config: WordEncoder) -> None:
        super().__init__()
        self.heads, width = config.heads, config.heads * config.head_width
        self.norm_read, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, config.ff_width), nn.Linear(config.ff_width, width)

    def forward(
        self, x: Float[Tensor, "batch row width"], permission: Permission
    ) -> Float[Tensor, "batch row width"]:
        q, k, v = (
            split_heads(part, self.heads) for part in self.qkv(self.norm_read(x)).chunk(3, -1)
        )
        x = x + self.output(merge_heads(attend(q, k, v, permission)))
        return x + self.down(F.gelu(self.up(self.norm(x))))


class ReadWords(nn.Module):
    """The prologue: what is made of the words joins the memory, behind the pictures' tokens.

    While taught, a share of the words is hidden (their places stay), and the loss of telling them
    from the others is left in the stream.
    """

    def __init__(
        self, config: WordEncoder, vocabulary: int, host_width: int, memory_width: int
    ) -> None:
        super().__init__()
        self.longest, width = config.longest, config.heads * config.head_width
        self.words = nn.Embedding(vocabulary, width)
        self.across, self.down = nn.Embedding(CELLS, width), nn.Embedding(CELLS, width)
        self.wide, self.high = nn.Embedding(CELLS, width), nn.Embedding(CELLS, width)
        self.places, self.types = nn.Embedding(config.longest, width), nn.Embedding(2, width)
        self.question = nn.Linear(host_width, width)
        self.layers = nn.ModuleList(WordLayer(config) for _ in range(config.depth))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, memory_width)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=config.initial_std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, stream: Stream, execution: Execution) -> Stream:
        spotted, memory = stream.spotted, stream.memory
        if spotted is None or memory is None:
            return stream
        hidden = self._hidden(spotted) if self.training else torch.zeros_like(spotted.valid)
        asked, there = _asked(stream)
        states = self.norm(self.states(spotted, hidden, asked, there))
        tokens = self.leave(states).to(memory.tokens.dtype)
        joined = Memory(
            torch.cat([memory.tokens, tokens], 1),
            memory.table.append(_identities(spotted, memory.table)),
        )
        told = replace(spotted, loss=self._loss(states, spotted, hidden))
        return replace(stream, memory=joined, spotted=told)

    def states(
        self,
        spotted: Spotted,
        hidden: Bool[Tensor, "batch word"],
        asked: Float[Tensor, "batch row host_width"],
        there: Bool[Tensor, "batch row"],
    ) -> Float[Tensor, "batch word width"]:
        """What the layers make of the words, those that are `hidden` told by their places alone."""
        known = self.words(spotted.ids).masked_fill(hidden.unsqueeze(-1), 0)
        left, top, right, bottom = spotted.boxes.unbind(-1)
        boxes = self.across(left) + self.across(right) + self.down(top) + self.down(bottom)
        boxes = boxes + self.wide(right - left) + self.high(bottom - top)
        words = known + boxes + self._place(spotted.valid) + self.types.weight[1]
        question = self.question(asked.to(words.dtype)) + self._place(there) + self.types.weight[0]
        x = torch.cat([question, words], 1)
        seen = torch.cat([there, spotted.valid], 1)
        permission = Permission(dense=seen.unsqueeze(1).expand(-1, seen.shape[1], -1))
        for layer in self.layers:
            x = layer(x, permission)
        return x[:, there.shape[1] :]

    def _place(self, valid: Bool[Tensor, "batch row"]) -> Float[Tensor, "batch row width"]:
        return self.places((valid.long().cumsum(1) - 1).clamp(0, self.longest - 1))

    def _hidden(self, spotted: Spotted) -> Bool[Tensor, "batch word"]:
        """Drawn by torch's generator of the CPU."""
        drawn = torch.rand(spotted.valid.shape).to(spotted.valid.device) < MASKED
        return drawn & spotted.valid

    def _loss(
        self, states: Tensor, spotted: Spotted, hidden: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, ""] | None:
        """Cross-entropy of the hidden words, by the words' own table."""
        if not bool(hidden.any()):
            return None
        return F.cross_entropy(states[hidden] @ self.words.weight.T, spotted.ids[hidden])


def _asked(stream: Stream) -> tuple[Float[Tensor, "batch row width"], Bool[Tensor, "batch row"]]:
    """The prompt's words, in the order they are stored, and which are real."""
    table = stream.table
    prompt = TEXT.select(table) & table.valid & (table.role != int(Role.ASSISTANT))
    index = (~prompt).long().argsort(dim=1, stable=True)[:, : int(prompt.sum(1).max())]
    return take(stream.embeddings, index), take(prompt, index)


def _identities(spotted: Spotted, beside: TokenTable) -> TokenTable:
    """Rows of the memory for words, on the pictures that they were found on."""
    zeros = torch.zeros_like(spotted.ids)
    count = torch.arange(spotted.ids.shape[1], device=zeros.device).expand_as(zeros)
    order = beside.order.shape[1] + count
    axes = beside.position.shape[-1]
    return TokenTable(
        modality=torch.full_like(zeros, int(Modality.TEXT)),
        item=spotted.item,
        unit=zeros,
        place=beside.place.new_zeros(*zeros.shape, 3),
        turn=zeros,
        role=zeros,
        segment=zeros,
        order=order,
        position=order.to(beside.position).unsqueeze(-1).expand(-1, -1, axes),
        valid=spotted.valid,
    )
