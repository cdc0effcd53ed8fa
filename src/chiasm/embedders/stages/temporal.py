"""M2-CLIP's first stages (arXiv 2401.11649): CLIP's sides, frozen, with adapters over time."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.stages.clip_layers import CAUSAL, attended, fed, inside
from chiasm.embedders.stages.pictures import Pictures
from chiasm.embedders.stages.sentences import SentenceReader, Sentences, Words
from chiasm.embedders.stages.space_time import ClipReader
from chiasm.embedders.states import States
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class AdaptedFrames:
    """One vector a frame: CLIP's class token, projected to `out`, then one temporal adapter.

    In every layer x = x + enhance(x) + differ(x) stands before the feed-forward; in the last, whose
    patches nothing reads, without what differs. Clips are of `frames` frames, shorter ones repeat
    their last.
    """

    pictures: Pictures
    """Over a `clip_vision_model`, its last layer."""
    out: int
    frames: int
    narrow: int
    """Channels between the maps of an adapter; half as many behind the projection."""

    @property
    def width(self) -> int:
        return self.out

    @property
    def vocabulary(self) -> int | None:
        return None

    def build(self, words: int | None = None) -> "FrameEncoder":
        return FrameEncoder(self)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> ClipReader:
        own = self.pictures
        return ClipReader(own.pixels, own.height, most=self.frames, least=self.frames)


class OverTime(nn.Module):
    """up(conv(down x)), a depthwise convolution of 3 frames, token by token."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.conv = nn.Conv1d(narrow, narrow, 3, padding=1, groups=narrow)
        _nothing(self.conv.weight, self.conv.bias, self.up.bias)

    def forward(self, x: Float[Tensor, "clip frame token width"]) -> Tensor:
        count = len(x)
        rows = self.down(x).permute(0, 2, 3, 1).flatten(0, 1)
        mixed = self.conv(rows).unflatten(0, (count, -1)).permute(0, 3, 1, 2)
        return self.up(mixed)


class OfDifferences(nn.Module):
    """up(conv(down(x_t - x_{t-1}))) of patches, a depthwise convolution of 3 x 3 places; the first
    frame differs by nothing.
    """

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.conv = nn.Conv2d(narrow, narrow, 3, padding=1, groups=narrow)
        _nothing(self.conv.weight, self.conv.bias, self.up.bias)

    def forward(self, x: Float[Tensor, "clip frame place width"]) -> Tensor:
        differs = torch.cat([torch.zeros_like(x[:, :1]), x[:, 1:] - x[:, :-1]], 1)
        side = int(x.shape[2] ** 0.5)
        maps = self.down(differs).transpose(2, 3).unflatten(3, (side, side)).flatten(0, 1)
        mixed = self.conv(maps).unflatten(0, x.shape[:2]).flatten(3).transpose(2, 3)
        return self.up(mixed)


class TemporalAdapter(nn.Module):
    """x + enhance(x) + [0, differ(patches)]: the identity at first, without an activation.

    Where nothing reads the patches behind it, `differ` is left out.
    """

    def __init__(self, width: int, narrow: int, *, differs: bool = True) -> None:
        super().__init__()
        self.enhance = OverTime(width, narrow)
        self.differ = OfDifferences(width, narrow) if differs else None

    def forward(
        self, rows: Float[Tensor, "frames token width"], frames: int
    ) -> Float[Tensor, "frames token width"]:
        """Rows of all frames of all clips, a class token first."""
        x = rows.unflatten(0, (-1, frames))
        added = self.enhance(x)
        if self.differ is not None:
            moved = self.differ(x[:, :, 1:])
            added = added + torch.cat([torch.zeros_like(moved[:, :, :1]), moved], 2)
        return (x + added).flatten(0, 1)


class FrameEncoder(nn.Module):
    """`[clip, frame, 3, side, side]` to states of one token a frame."""

    def __init__(self, config: AdaptedFrames) -> None:
        super().__init__()
        vision = config.pictures.encoder.config
        width, depth = vision.hidden_size, vision.num_hidden_layers
        self.image = config.pictures.encoder.build()
        self.head = nn.Linear(width, config.out, bias=False)
        layers = (
            TemporalAdapter(width, config.narrow, differs=number < depth - 1)
            for number in range(depth)
        )
        self.adapters = nn.ModuleDict(
            {"layers": nn.ModuleList(layers), "frames": OverTime(config.out, config.narrow // 2)}
        )

    def forward(self, clips: Float[Tensor, "clip frame 3 side side"]) -> States:
        network, adapters = inside(self.image.model, "vision_model"), cast(Any, self.adapters)
        frames = clips.shape[1]
        x = network.pre_layrnorm(network.embeddings(clips.flatten(0, 1)))
        for layer, adapter in zip(network.encoder.layers, adapters["layers"], strict=True):
            x = fed(layer, adapter(attended(layer, x), frames))
        first = self.head(network.post_layernorm(x[:, 0])).unflatten(0, (-1, 1, frames))
        first = first.transpose(1, 2)
        tokens = (first + adapters["frames"](first)).squeeze(2)
        return States.all_of(tokens, int(Modality.VIDEO))


@dataclass(frozen=True, kw_only=True)
class AdaptedWords:
    """The last word's state: CLIP's text side, x + up(gelu(down x)) behind its last layers."""

    words: Sentences
    """A `clip_text_model`."""
    out: int
    narrow: int
    adapted: int
    """How many of the last layers have an adapter."""

    @property
    def width(self) -> int:
        return self.out

    @property
    def vocabulary(self) -> int | None:
        return self.words.vocabulary

    def build(self, words: int | None = None) -> "WordEncoder":
        return WordEncoder(self, words)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return self.words.tokenizer()

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> SentenceReader:
        return self.words.reader(tokenizer)


class WordEncoder(nn.Module):
    """Words to states of one token an item."""

    def __init__(self, config: AdaptedWords, words: int | None) -> None:
        super().__init__()
        self.text = config.words.build(words)
        width: int = config.words.config.hidden_size
        self.head = nn.Linear(width, config.out, bias=False)
        self.adapters = nn.ModuleList(_narrow(width, config.narrow) for _ in range(config.adapted))

    def forward(self, words: Words) -> States:
        network: Any = inside(self.text.model, "text_model")
        x = network.embeddings(words.ids)
        before = len(network.encoder.layers) - len(self.adapters)
        for number, layer in enumerate(network.encoder.layers):
            x = fed(layer, attended(layer, x, CAUSAL))
            if number >= before:
                x = x + self.adapters[number - before](x)
        last = words.valid.long().sum(-1) - 1
        said = self.head(network.final_layer_norm(x)[torch.arange(len(x), device=x.device), last])
        return States.all_of(said.unsqueeze(1), words.modality)


def _narrow(width: int, narrow: int) -> nn.Sequential:
    made = nn.Sequential(nn.Linear(width, narrow), nn.GELU(), nn.Linear(narrow, width))
    for parameter in made[2].parameters():
        nn.init.zeros_(parameter)
    return made


def _nothing(*tensors: Tensor | None) -> None:
    for tensor in tensors:
        if tensor is not None:
            nn.init.zeros_(tensor)
