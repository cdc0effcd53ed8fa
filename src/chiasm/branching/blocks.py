"""The encoder that is branched, inverted residual blocks (MobileNetV2), and a head a task."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class Block:
    """Sizes of one block: 1x1 expand, 3x3 per channel, 1x1 project (arXiv 1801.04381)."""

    input: int
    width: int
    stride: int = 1
    expand: int = 6

    @property
    def inner(self) -> int:
        return self.input * self.expand

    def flops(self, side: int) -> int:
        """Of its convolutions on an input of `side x side`, a multiply-add counted twice."""
        out = side // self.stride
        widened = side * side * self.input * self.inner if self.expand > 1 else 0
        return 2 * (widened + out * out * (9 * self.inner + self.inner * self.width))


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Blocks in a row, each a layer that tasks may share or not."""

    side: int
    """Pixels of a picture's edge."""
    blocks: tuple[Block, ...]
    stem: int = 0
    """Channels of a 3x3 convolution in front, of stride 2, that all tasks share; 0: none."""

    def __post_init__(self) -> None:
        for at, (block, after) in enumerate(zip(self.blocks, self.blocks[1:], strict=False), 1):
            if block.width != after.input:
                raise Misuse(
                    f"block {at} reads {after.input} channels, the block before makes {block.width}"
                )
        if self.blocks[0].input != (self.stem or 3):
            raise Misuse(
                f"the first block reads {self.blocks[0].input} channels, before it are "
                f"{self.stem or 3}"
            )
        if self.side % self.stride:
            raise Misuse(f"pictures of {self.side} pixels cannot be reduced {self.stride} times")

    @property
    def stride(self) -> int:
        """How many times smaller the last map is."""
        found = 2 if self.stem else 1
        for block in self.blocks:
            found *= block.stride
        return found

    def flops(self) -> tuple[int, ...]:
        """Of one copy of each block, for one picture."""
        side, found = self.side // (2 if self.stem else 1), []
        for block in self.blocks:
            found.append(block.flops(side))
            side //= block.stride
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A class for every pixel, and what an error counts."""

    name: str
    classes: int
    weight: float = 1.0


def rows(first: int, *settings: tuple[int, int, int, int]) -> tuple[Block, ...]:
    """MobileNetV2's table: (expansion, width, how many blocks, stride of the first of them)."""
    found: list[Block] = []
    for expand, width, count, stride in settings:
        for at in range(count):
            source = found[-1].width if found else first
            found.append(
                Block(input=source, width=width, stride=1 if at else stride, expand=expand)
            )
    return tuple(found)


MOBILENET_V2 = Encoder(
    side=224,
    stem=32,
    blocks=rows(
        32,
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ),
)
"""The 17 blocks of the paper's encoder."""


class InvertedResidual(nn.Module):
    """One block.

    While branches are searched its last norm has no factors of its own (`affine`), so that the
    copies that are mixed are of one size.
    """

    def __init__(self, sizes: Block, *, affine: bool) -> None:
        super().__init__()
        inner, wide = sizes.inner, sizes.expand > 1
        self.residual = sizes.stride == 1 and sizes.input == sizes.width
        self.expand = nn.Conv2d(sizes.input, inner, 1, bias=False) if wide else None
        self.expand_norm = nn.BatchNorm2d(inner) if wide else None
        self.filter = nn.Conv2d(
            inner, inner, 3, stride=sizes.stride, padding=1, groups=inner, bias=False
        )
        self.filter_norm = nn.BatchNorm2d(inner)
        self.project = nn.Conv2d(inner, sizes.width, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(sizes.width, affine=affine)

    def forward(
        self, x: Float[Tensor, "batch input side side"]
    ) -> Float[Tensor, "batch width out out"]:
        hidden = x
        if self.expand is not None and self.expand_norm is not None:
            hidden = F.relu6(self.expand_norm(self.expand(x)))
        hidden = F.relu6(self.filter_norm(self.filter(hidden)))
        made = self.project_norm(self.project(hidden))
        return x + made if self.residual else made


class Head(nn.Module):
    """R-ASPP's scores (arXiv 1905.02244): a map gated by its mean, enlarged to the picture."""

    def __init__(self, width: int, classes: int, enlarge: int) -> None:
        super().__init__()
        self.map = nn.Conv2d(width, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.gate = nn.Conv2d(width, width, 1)
        self.scores = nn.Conv2d(width, classes, 1)
        self.enlarge = enlarge

    def forward(
        self, x: Float[Tensor, "batch width small small"]
    ) -> Float[Tensor, "batch class_ side side"]:
        gate = self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        scores = self.scores(F.relu(self.norm(self.map(x))) * gate)
        return F.interpolate(scores, scale_factor=self.enlarge, mode="bilinear")


def stem(encoder: Encoder) -> nn.Module:
    """What stands before the first layer that can be parted."""
    if not encoder.stem:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(3, encoder.stem, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(encoder.stem),
        nn.ReLU6(),
    )


def heads(encoder: Encoder, tasks: Sequence[Task]) -> nn.ModuleList:
    """A head for each task, which no two share."""
    last = encoder.blocks[-1].width
    return nn.ModuleList(Head(last, task.classes, encoder.stride) for task in tasks)
