"""PreFLMR's query (arXiv 2402.08327): words, vectors of the picture, patches that read words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from torch import Tensor, nn

from chiasm.embedders.stages.recurrent import Attention
from chiasm.embedders.states import States, side_by_side
from chiasm.stream import Modality, Permission


@dataclass(frozen=True, kw_only=True)
class ConditionedPatches:
    """[words, `vectors` of the class token, patches], each `out` wide.

    Words: W x without a bias, an instruction's are zero. Class token: tanh MLP to vectors * out.
    Patches: W x to `width`, one layer that reads patches and the first `conditions` words, W x.
    The tower `image` gives a class token first.
    """

    out: int
    vectors: int
    width_inside: int
    heads: int
    conditions: int = 32

    def width(self, widths: Mapping[str, int]) -> int:
        return self.out

    def build(self, widths: Mapping[str, int]) -> "ConditionedFusion":
        return ConditionedFusion(self, widths["text"], widths["image"])


class ConditionedFusion(nn.Module):
    """States of `text` and `image` to the vectors of a query or a document."""

    def __init__(self, config: ConditionedPatches, text: int, image: int) -> None:
        super().__init__()
        self.config, inside = config, config.width_inside
        whole = config.vectors * config.out
        self.words = nn.Linear(text, config.out, bias=False)
        self.first = nn.Sequential(
            nn.Linear(image, whole // 2), nn.Tanh(), nn.Linear(whole // 2, whole)
        )
        self.enter, self.conditions = nn.Linear(image, inside), nn.Linear(text, inside)
        self.itself, self.read = (Attention(inside, config.heads, bias=True) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(inside) for _ in range(3))
        self.mlp = nn.Sequential(
            nn.Linear(inside, 4 * inside), nn.GELU(), nn.Linear(4 * inside, inside)
        )
        self.leave = nn.Linear(inside, config.out)

    def forward(self, made: dict[str, States], seen: dict[str, States]) -> States:
        words, image = made.get("text"), made.get("image")
        parts: list[States] = []
        if words is not None:
            kept = words.valid & ~words.told
            said = self.words(words.tokens) * kept.unsqueeze(-1)
            parts.append(replace(words.carrying(said), valid=kept))
        if image is not None:
            first = self.first(image.tokens[:, 0]).unflatten(-1, (-1, self.config.out))
            vectors = States.all_of(first, int(Modality.IMAGE))
            there = image.present.unsqueeze(1)
            parts.append(replace(vectors, valid=vectors.valid & there))
            patches = self._patches(image, words)
            parts.append(replace(patches, valid=patches.valid & there))
        return side_by_side(parts)

    def _patches(self, image: States, words: States | None) -> States:
        """One post-normed layer: among patches, from words, alone."""
        x = cast(Tensor, self.enter(image.tokens[:, 1:]))
        x = self.norms[0](x + self.itself(x, x, Permission()))
        if words is not None:
            few = slice(0, self.config.conditions)
            keys = self.conditions(words.tokens[:, few])
            among = words.valid[:, few].unsqueeze(1).expand(-1, x.shape[1], -1)
            x = x + self.read(x, keys, Permission(dense=among)) * words.present[:, None, None]
        x = self.norms[1](x)
        x = self.norms[2](x + self.mlp(x))
        return States.all_of(self.leave(x), int(Modality.IMAGE))
