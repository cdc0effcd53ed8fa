"""GRAM's matching loss (arXiv 2412.11959): does this text belong to this item?"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.embedders.stages.align import Round
from chiasm.embedders.states import Read, States, side_by_side
from chiasm.layers import LatentRead
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class HardMatches:
    """weight * cross-entropy of matched or not, over each pair, one hard item for each text and one
    hard text for each item, drawn from softmax(scores / temperature) of the wrong ones.

    A text's tokens read an item's, once, and their first token is classified. `texts` names the
    tower of the asked words; `width` is what both are brought to.
    """

    texts: str
    width: int
    heads: int
    weight: float = 0.1
    temperature: float = 0.07
    name: str = "matching"

    def build(self, widths: dict[str, int]) -> "Matcher":
        return Matcher(self, widths)


class Matcher(nn.Module):
    """Logits (not, matched) of a text with an item, from the towers' projected tokens."""

    def __init__(self, config: HardMatches, widths: dict[str, int]) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.enter = nn.ModuleDict({name: nn.Linear(own, width) for name, own in widths.items()})
        self.read = LatentRead(
            width, width, keys=width, values=width, heads=config.heads, hidden=2 * width
        )
        self.out = nn.Linear(width, 2)

    def forward(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        count = of.count
        texts = self._text(of.queries)
        items = self._item(of.candidates)
        wrong = scores.detach()[:, :count].masked_fill(of.targets[:, :count] > 0, -1e9)
        alone = wrong.amax(-1) > -1e8
        if not bool(alone.all()):
            return scores.new_zeros(())
        hard_items = _drawn(wrong / self.config.temperature)
        hard_texts = _drawn(wrong.T / self.config.temperature)
        own = torch.arange(count, device=scores.device)
        pairs = [(own, own, 1), (own, hard_items, 0), (hard_texts, own, 0)]
        logits = torch.cat([self.logits(texts, items, t, i) for t, i, _ in pairs])
        labels = torch.cat([torch.full_like(own, label) for _, _, label in pairs])
        return self.config.weight * nn.functional.cross_entropy(logits, labels)

    def logits(
        self, texts: States, items: States, text: Int[Tensor, " pair"], item: Int[Tensor, " pair"]
    ) -> Float[Tensor, "pair 2"]:
        """Of pairs of numbers."""
        among = items.valid[item].unsqueeze(1).expand(-1, texts.tokens.shape[1], -1)
        read = self.read(texts.tokens[text], items.tokens[item], Permission(dense=among))
        return self.out(read[:, 0])

    def _text(self, read: Read) -> States:
        own = read.made[self.config.texts]
        return own.carrying(self.enter[self.config.texts](own.tokens))

    def _item(self, read: Read) -> States:
        return side_by_side([s.carrying(self.enter[n](s.tokens)) for n, s in read.made.items()])


def _drawn(scores: Tensor) -> Int[Tensor, " row"]:
    """One column a row, by its softmax."""
    return torch.multinomial(scores.softmax(-1), 1).squeeze(-1)
