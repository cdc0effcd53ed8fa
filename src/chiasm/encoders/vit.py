"""A plain vision transformer trained from scratch, with a patch or a convolutional stem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from chiasm.layers import attend, merge_heads, sine_positions, split_heads
from chiasm.spec import Size, Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Features, Permission


@dataclass(frozen=True, kw_only=True)
class VisionTransformer:
    """ViT (Dosovitskiy et al. 2020, arXiv 2010.11929), pre-norm, fixed 2-D sine positions.

    `stem` gives the channels of successive 3x3 convolutions of stride 2 before the last projection
    (Xiao et al. 2021, arXiv 2106.14881), followed by `residual` blocks of two 3x3 convolutions (He
    et al. 2015, arXiv 1512.03385); () is one convolution of `patch x patch`.
    """

    patch: int
    width: int
    depth: int
    heads: int
    ff_width: int
    stem: tuple[int, ...] = ()
    residual: int = 0
    position_scale: float = 1.0
    """Deviation of the sine positions against features of about 1."""
    class_token: bool = False
    """Whether a learned token of no position comes first, outside of any grid."""

    def __post_init__(self) -> None:
        if self.stem and 2 ** len(self.stem) != self.patch:
            raise ValueError(
                f"{len(self.stem)} convolutions of stride 2 make patches of "
                f"{2 ** len(self.stem)} pixels, not {self.patch}"
            )
        if self.residual and not self.stem:
            raise ValueError(f"{self.residual} residual blocks need a convolutional stem; give one")

    def grid(self, size: Size) -> tuple[int, int]:
        """Rows and columns of patches; a part of a patch counts as one (padded with zeros). With a
        class token, all tokens stand in one row.
        """
        rows, columns = self._patches(size)
        return (1, 1 + rows * columns) if self.class_token else (rows, columns)

    def _patches(self, size: Size) -> tuple[int, int]:
        return -(-size[0] // self.patch), -(-size[1] // self.patch)

    def build(self) -> "VisionTransformerEncoder":
        return VisionTransformerEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        rows, columns = self.grid(size)
        tokens, w = rows * columns, self.width
        work = list(self._stem_work(size))
        for _ in range(self.depth):
            work += [
                linear("encoder", "attention projections", tokens, w, 4 * w),
                attention("encoder", "attention", tokens * tokens, self.heads, w // self.heads),
                linear("encoder", "feed-forward", tokens, w, 2 * self.ff_width),
            ]
        return work

    def _stem_work(self, size: Size) -> Sequence[Work]:
        rows, columns = self._patches(size)
        if not self.stem:
            return (linear("encoder", "patches", rows * columns, 3 * self.patch**2, self.width),)
        work, channels = [], 3
        height, width = rows * self.patch, columns * self.patch
        for out in self.stem:
            height, width = height // 2, width // 2
            work.append(linear("encoder", "stem", height * width, 9 * channels, out))
            channels = out
        for _ in range(2 * self.residual):
            work.append(linear("encoder", "residual", height * width, 9 * channels, channels))
        work.append(linear("encoder", "stem", height * width, channels, self.width))
        return work


class Layer(nn.Module):
    """x += W_o heads(W_qkv LN(x)), then x += MLP(LN(x))."""

    def __init__(self, config: VisionTransformer) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.ff_width),
            nn.GELU(),
            nn.Linear(config.ff_width, config.width),
        )

    def forward(self, x: Tensor, permission: Permission) -> Tensor:
        x = x + self.out(self.mixed(self.qkv(self.norm1(x)), permission))
        return x + self.mlp(self.norm2(x))

    def mixed(self, qkv: Tensor, permission: Permission) -> Tensor:
        """What the heads read, from queries, keys and values side by side."""
        q, k, v = (split_heads(part, self.heads) for part in qkv.chunk(3, -1))
        return merge_heads(attend(q, k, v, permission))


class VisionTransformerEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, rows * columns, width]`.

    Taps are what enters the first layer and what leaves each, the last normed.
    """

    def __init__(self, config: VisionTransformer) -> None:
        super().__init__()
        self.config = config
        self.stem = _stem(config)
        self.first = nn.Parameter(torch.randn(config.width)) if config.class_token else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)

    @property
    def patches(self) -> nn.Conv2d:
        """The last of the stem: its maps are the patches, before any position."""
        return cast(nn.Conv2d, self.stem[-1])

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        return self.features(images, image_valid, self.through)

    def through(self, x: Tensor, permission: Permission) -> list[Tensor]:
        """The tokens as they enter the first layer and as they leave each."""
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], permission))
        return states

    def features(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None,
        through: Callable[[Tensor, Permission], list[Tensor]],
    ) -> Features:
        """Patches, what `through` makes of them, and the final norm."""
        p = self.config.patch
        missing = (0, -images.shape[3] % p, 0, -images.shape[2] % p)
        valid = None
        if image_valid is not None:
            pixels = nn.functional.pad(image_valid, missing)
            valid = pixels.unfold(1, p, p).unfold(2, p, p).flatten(3).any(-1)
        maps = self._patches(nn.functional.pad(images, missing) if any(missing) else images, valid)
        rows, columns = maps.shape[-2:]
        x = maps.flatten(2).transpose(1, 2) + self._positions(rows, columns).to(maps)
        valid = None if valid is None else valid.flatten(1)
        grid = rows, columns
        if self.first is not None:
            x = torch.cat([self.first.expand(len(x), 1, -1), x], 1)
            valid = None if valid is None else nn.functional.pad(valid, (1, 0), value=True)
            grid = 1, 1 + rows * columns
        permission = Permission(dense=None if valid is None else _keys(valid))
        states = through(x, permission)
        states[-1] = self.norm(states[-1])
        return Features(states[-1], grid, valid, tuple(states))

    def _positions(self, rows: int, columns: int) -> Float[Tensor, "token width"]:
        return self.config.position_scale * sine_positions(rows, columns, self.config.width)

    def _patches(
        self, images: Tensor, valid: Bool[Tensor, "image row column"] | None
    ) -> Float[Tensor, "image width row column"]:
        """The stem; beyond an image's edge its convolutions read zeros, as if it came alone."""
        maps = images.contiguous(memory_format=torch.channels_last)
        for layer in self.stem:
            maps = layer(maps, valid) if isinstance(layer, _Residual) else layer(maps)
            maps = _seen(maps, valid)
        return maps


def _keys(valid: Bool[Tensor, "image token"]) -> Tensor:
    return valid.unsqueeze(1).expand(-1, valid.shape[1], -1)


def _seen(maps: Tensor, valid: Bool[Tensor, "image row column"] | None) -> Tensor:
    """The maps with zeros beyond each image's edge."""
    if valid is None:
        return maps
    side = maps.shape[-1] // valid.shape[-1]
    cells = valid.repeat_interleave(side, 1).repeat_interleave(side, 2)
    return maps * cells.unsqueeze(1)


class _Residual(nn.Module):
    """gelu(x + norm(conv(gelu(norm(conv(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)
        )
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor, valid: Bool[Tensor, "image row column"] | None) -> Tensor:
        inner = _seen(gelu(self.norm1(self.conv1(maps))), valid)
        return gelu(maps + self.norm2(self.conv2(inner)))


def _stem(config: VisionTransformer) -> nn.Sequential:
    if not config.stem:
        return nn.Sequential(nn.Conv2d(3, config.width, config.patch, stride=config.patch))
    layers: list[nn.Module] = []
    channels = 3
    for out in config.stem:
        layers += [
            nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.GELU(),
        ]
        channels = out
    layers += [_Residual(channels) for _ in range(config.residual)]
    return nn.Sequential(*layers, nn.Conv2d(channels, config.width, 1))
