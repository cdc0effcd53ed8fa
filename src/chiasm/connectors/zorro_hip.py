"""Zorro on a block-structured Perceiver: groups of one modality; fusion groups read all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.layers import LatentRead
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens

IMAGE, TEXT, FUSION = "image", "text", "fusion"
STREAMS = (IMAGE, TEXT, FUSION)
Array = tuple[Float[Tensor, "batch element width"], Bool[Tensor, "batch element"]]
"""Elements, and which of them are real."""


@dataclass(frozen=True)
class Stage:
    """An array is cut into `groups`; `latents` read each, and think in `layers`."""

    groups: int
    latents: int
    layers: int


@dataclass(frozen=True, kw_only=True)
class ZorroHiP:
    """Zorro's HiP form (arXiv 2301.09595, section 3.3, over arXiv 2202.10890).

    Image, question and fusion are three streams of latents that share all attention weights. In
    every stage each stream's array is cut into groups, and a group's latents read

        image:  the same group of the image's array
        text:   the same group of the question's array
        fusion: the same group of all three

    so that image latents never depend on the question, nor text latents on the image. With
    `pure=False` every stream reads all three: the entangled baseline, of equally many parameters.
    """

    stages: tuple[Stage, ...]
    latent_width: int
    heads: int
    words: int
    """Longest question, in tokens."""
    ff_multiple: int = 4
    pure: bool = True
    initial_std: float = 0.02
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return True

    @property
    def browses(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        """Latents of the last stage, of all three streams."""
        return len(STREAMS) * self.stages[-1].groups * self.stages[-1].latents

    def reads(self, stream: str) -> tuple[str, ...]:
        """The streams whose arrays a stream's latents read."""
        return STREAMS if stream == FUSION or not self.pure else (stream,)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "HiPStreams":
        return HiPStreams(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        sizes = {IMAGE: grid[0] * grid[1], TEXT: self.words, FUSION: 0}
        w = self.latent_width
        work = [
            linear("connector", "image", sizes[IMAGE], width, w),
            linear("connector", "words", sizes[TEXT], host_width, w),
        ]
        for stage in self.stages:
            cut = {stream: -(-sizes[stream] // stage.groups) for stream in STREAMS}
            for stream in STREAMS:
                elements = sum(cut[one] for one in self.reads(stream))
                work += self._layer(stage, elements)
                work += self._layer(stage, stage.latents) * stage.layers
            sizes = dict.fromkeys(STREAMS, stage.groups * stage.latents)
        return [*work, linear("connector", "output", self.count(grid), w, host_width)]

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        """Nothing besides: every question is as long as the longest."""
        return ()

    def _layer(self, stage: Stage, elements: int) -> list[Work]:
        """One read of so many elements by the latents of every group."""
        w, rows = self.latent_width, stage.groups * stage.latents
        return [
            linear("connector", "query and output", rows, w, 2 * w),
            linear("connector", "key and value", stage.groups * elements, w, 2 * w),
            attention("connector", "read", rows * elements, self.heads, w // self.heads),
            linear("connector", "feed-forward", rows, w, 2 * self.ff_multiple * w),
        ]


class HiPStreams(nn.Module):
    """`[image, token, width]` and a question to `[image, 3 * groups * latents, host width]`."""

    def __init__(self, config: ZorroHiP, width: int, host_width: int) -> None:
        super().__init__()
        self.config = config
        w = config.latent_width
        self.image, self.word = nn.Linear(width, w), nn.Linear(host_width, w)
        self.places = self._drawn(config.words, w)
        self.latents = nn.ModuleList(
            nn.ParameterDict({s: self._drawn(g.groups, g.latents, w) for s in STREAMS})
            for g in config.stages
        )
        self.reads = nn.ModuleList(self._layer(w) for _ in config.stages)
        self.blocks = nn.ModuleList(
            nn.ModuleList(self._layer(None) for _ in range(stage.layers)) for stage in config.stages
        )
        self.output = nn.Linear(w, host_width)

    def _drawn(self, *shape: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(*shape) * self.config.initial_std)

    def _layer(self, array_width: int | None) -> LatentRead:
        w = self.config.latent_width
        hidden = self.config.ff_multiple * w
        return LatentRead(w, array_width, keys=w, values=w, heads=self.config.heads, hidden=hidden)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Latents of the image, of the question, and of both; without a question, of the image."""
        arrays = {IMAGE: self.of_image(features)}
        if asked is not None:
            arrays[TEXT] = self.of_words(asked)
        latents = self.streams(arrays)
        missing = latents[IMAGE].new_zeros(latents[IMAGE].shape)
        rows = torch.cat([latents.get(stream, missing) for stream in STREAMS], dim=1)
        return Tokens(self.output(rows))

    def of_image(self, features: Features) -> Array:
        """The image's array."""
        tokens, valid = self.image(features.tokens), features.valid
        return tokens, tokens.new_ones(
            tokens.shape[:2], dtype=torch.bool
        ) if valid is None else valid

    def of_words(self, asked: Asked) -> Array:
        """The question's array, of one length whatever the batch, as `work` bills it."""
        missing = self.config.words - asked.ids.shape[1]
        if missing < 0:
            raise Misuse(
                f"a question of {asked.ids.shape[1]} tokens is longer than the {self.config.words} "
                "that are read; shorten it or raise connector.words"
            )
        words = self.word(F.pad(asked.embeddings, (0, 0, 0, missing))) + self.places
        return words, F.pad(asked.valid, (0, missing))

    def streams(self, arrays: Mapping[str, Array]) -> dict[str, Tensor]:
        """Latents of the last stage by stream. A modality that is left out costs nothing, and the
        others' latents are what they are beside it; fusion needs both.
        """
        given = dict(arrays)
        for at, stage in enumerate(self.config.stages):
            cut = {name: _grouped(array, stage.groups) for name, array in given.items()}
            made = [*arrays, *([FUSION] if len(arrays) == 2 else [])]
            given = {name: self._stage(at, stage, name, cut) for name in made}
        return {name: latents for name, (latents, _) in given.items()}

    def _stage(self, at: int, stage: Stage, stream: str, cut: Mapping[str, Array]) -> Array:
        """One stage of one stream."""
        read = [cut[name] for name in self.config.reads(stream) if name in cut]
        elements = torch.cat([part[0] for part in read], dim=1)
        valid = torch.cat([part[1] for part in read], dim=1)
        batch = len(elements) // stage.groups
        latents = (
            cast(nn.ParameterDict, self.latents[at])[stream].expand(batch, -1, -1, -1).flatten(0, 1)
        )
        permission = Permission(dense=valid.unsqueeze(1).expand(-1, stage.latents, -1))
        latents = self.reads[at](latents, elements, permission)
        for layer in cast(nn.ModuleList, self.blocks[at]):
            latents = layer(latents, None, Permission())
        rows = latents.unflatten(0, (batch, stage.groups)).flatten(1, 2)
        return rows, rows.new_ones(rows.shape[:2], dtype=torch.bool)


def _grouped(array: Array, groups: int) -> Array:
    """Real elements cut into groups as equal as can be, `[batch * group, element, width]`.

    Each sample is cut by its own number of elements, wherever its padding stands.
    """
    elements, valid = array
    counts = valid.sum(1)
    each = (counts + groups - 1).div(groups, rounding_mode="floor").clamp(min=1)
    most = -(-elements.shape[1] // groups)
    slot = torch.arange(most, device=valid.device)
    first = torch.arange(groups, device=valid.device) * each.unsqueeze(1)
    place = first.unsqueeze(2) + slot
    held = (slot < each.view(-1, 1, 1)) & (place < counts.view(-1, 1, 1))
    real_first = (~valid).long().argsort(dim=1, stable=True)
    index = real_first.gather(1, place.flatten(1).clamp(max=valid.shape[1] - 1))
    wide = index.unsqueeze(-1).expand(-1, -1, elements.shape[-1])
    cut = elements.gather(1, wide).unflatten(1, (groups, most)).flatten(0, 1)
    return cut, held.flatten(0, 1)
