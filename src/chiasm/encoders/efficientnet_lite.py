"""EfficientNet-Lite0: a convolutional encoder whose pretrained weights ship as a package."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from safetensors.torch import load_file
from torch import Tensor, nn

from chiasm.errors import ChiasmError, Misuse
from chiasm.spec import Size, Work
from chiasm.spec.work import linear
from chiasm.stream import Features
from chiasm.weights import resolve

STEM, HEAD, CLASSES = 32, 1280, 1000
STAGES = (
    # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""EfficientNet-B0's stages; Lite0 keeps them and drops squeeze-and-excitation."""
_WIDTHS = {"map": STAGES[-1][3], "head": HEAD, "classes": CLASSES}


@dataclass(frozen=True)
class _Block:
    """One inverted bottleneck: expand, depthwise, project."""

    channels: int
    expansion: int
    kernel: int
    stride: int
    out: int

    @property
    def middle(self) -> int:
        return self.channels * self.expansion


def _blocks() -> list[_Block]:
    blocks, channels = [], STEM
    for expansion, kernel, stride, out, repeats in STAGES:
        for repeat in range(repeats):
            blocks.append(_Block(channels, expansion, kernel, 1 if repeat else stride, out))
            channels = out
    return blocks


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite0:
    """EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; TensorFlow's Lite variant, 2020).

    Inverted bottlenecks without squeeze-and-excitation, ReLU6, "same" padding; stride 32. `level`
    names what is read: "map" (the last 320 channels), "head" (the 1280 channels made of them) or
    "classes" (one token: scores of ImageNet's 1000 classes). Parts above the level are not built.
    Stochastic depth is left out. `weights` names a folder or an alias; None means fresh weights.
    """

    weights: str | None = "efficientnet-lite0"
    level: Literal["map", "head", "classes"] = "map"

    def __post_init__(self) -> None:
        if self.level not in _WIDTHS:
            raise Misuse(f"level is one of {', '.join(_WIDTHS)}, not {self.level!r}")

    @property
    def width(self) -> int:
        return _WIDTHS[self.level]

    def grid(self, size: Size) -> tuple[int, int]:
        if self.level == "classes":
            return 1, 1
        return -(-size[0] // 32), -(-size[1] // 32)

    def build(self) -> "EfficientNetLiteEncoder":
        """The encoder; its weights are read unless it is built on the meta device.

        Raises:
            ChiasmError: `weights` lacks a tensor, or has one more or of another shape.
        """
        encoder = EfficientNetLiteEncoder(self)
        if self.weights is not None and encoder.conv_stem.weight.device.type != "meta":
            _load(encoder, self.weights)
        return encoder

    def work(self, size: Size) -> Sequence[Work]:
        height, width = (size[0] + 1) // 2, (size[1] + 1) // 2
        work = [linear("encoder", "stem", height * width, 27, STEM)]
        for block in _blocks():
            if block.expansion > 1:
                work.append(
                    linear("encoder", "expand", height * width, block.channels, block.middle)
                )
            height, width = -(-height // block.stride), -(-width // block.stride)
            rows = height * width
            work += [
                linear("encoder", "depthwise", rows, block.kernel**2, block.middle),
                linear("encoder", "project", rows, block.middle, block.out),
            ]
        if self.level != "map":
            work.append(linear("encoder", "head", height * width, STAGES[-1][3], HEAD))
        if self.level == "classes":
            work.append(linear("encoder", "classes", 1, HEAD, CLASSES))
        return work


class SameConv(nn.Conv2d):
    """Convolution padded so that it gives ceil(input / stride) places; odd padding goes last."""

    def forward(self, input: Float[Tensor, "image channel height width"]) -> Tensor:
        (top, bottom), (left, right) = (
            self._padding(input.shape[axis], self.kernel_size[axis - 2], self.stride[axis - 2])
            for axis in (2, 3)
        )
        if (top, left) == (bottom, right):
            return F.conv2d(
                input, self.weight, self.bias, self.stride, (top, left), groups=self.groups
            )
        padded = F.pad(input, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)

    @staticmethod
    def _padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        return total // 2, total - total // 2


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedBottleneck(nn.Module):
    """x + project(depthwise(expand(x))), the sum only where shapes allow."""

    def __init__(self, block: _Block) -> None:
        super().__init__()
        middle = block.middle
        self.residual = block.stride == 1 and block.channels == block.out
        self.expands = block.expansion > 1
        if self.expands:
            self.expand_conv = nn.Conv2d(block.channels, middle, 1, bias=False)
            self.bn0 = _norm(middle)
        self.depthwise_conv = SameConv(
            middle, middle, block.kernel, stride=block.stride, groups=middle, bias=False
        )
        self.bn1 = _norm(middle)
        self.project_conv = nn.Conv2d(middle, block.out, 1, bias=False)
        self.bn2 = _norm(block.out)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        hidden = F.relu6(self.bn1(self.depthwise_conv(hidden)))
        hidden = self.bn2(self.project_conv(hidden))
        return x + hidden if self.residual else hidden


class EfficientNetLiteEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, rows * columns, width]`.

    Parameters are named as in the packaged weights, without their leading underscores.
    """

    def __init__(self, answer: EfficientNetLite0) -> None:
        super().__init__()
        self.answer = answer
        self.conv_stem = SameConv(3, STEM, 3, stride=2, bias=False)
        self.bn0 = _norm(STEM)
        self.blocks = nn.ModuleList(InvertedBottleneck(block) for block in _blocks())
        if answer.level != "map":
            self.conv_head = nn.Conv2d(STAGES[-1][3], HEAD, 1, bias=False)
            self.bn1 = _norm(HEAD)
        if answer.level == "classes":
            self.fc = nn.Linear(HEAD, CLASSES)

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """Tokens in reading order.

        Raises:
            Misuse: padded images, since a convolution cannot leave padding out.
        """
        if image_valid is not None and not bool(image_valid.all()):
            padding = int((~image_valid).sum())
            raise Misuse(
                f"EfficientNet-Lite0 cannot leave out padding: {padding} of {image_valid.numel()} "
                "pixels hold none of the image; resize the images to one size"
            )
        maps = images.to(self.conv_stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        maps = F.relu6(self.bn0(self.conv_stem(maps)))
        for block in self.blocks:
            maps = block(maps)
        if self.answer.level != "map":
            maps = F.relu6(self.bn1(self.conv_head(maps)))
        if self.answer.level == "classes":
            return Features(self.fc(maps.mean((2, 3))).unsqueeze(1), (1, 1))
        rows, columns = maps.shape[-2:]
        return Features(maps.flatten(2).transpose(1, 2), (rows, columns))


def _load(encoder: EfficientNetLiteEncoder, weights: str) -> None:
    """Read a folder's `model.safetensors`; parts above the encoder's level are passed over."""
    file = resolve(weights) / "model.safetensors"
    if not file.is_file():
        raise ChiasmError(f"{weights} has no {file.name}; name a folder that does")
    state = {_renamed(name): tensor for name, tensor in load_file(file).items()}
    above = () if encoder.answer.level == "classes" else ("fc.",)
    above += ("conv_head.", "bn1.") if encoder.answer.level == "map" else ()
    expected = {name: tensor.shape for name, tensor in encoder.state_dict().items()}
    for name in sorted(expected.keys() | state.keys()):
        if name not in state:
            raise ChiasmError(f"{weights} lacks {name}; fetch or export it again")
        if name not in expected:
            if name.startswith(above):
                continue
            raise ChiasmError(f"{weights} holds {name}, which EfficientNet-Lite0 has no place for")
        if state[name].shape != expected[name]:
            raise ChiasmError(
                f"{weights}: {name} is {tuple(state[name].shape)}, "
                f"EfficientNet-Lite0 has {tuple(expected[name])}"
            )
    encoder.load_state_dict({name: state[name] for name in expected})


def _renamed(name: str) -> str:
    return ".".join(part.removeprefix("_") for part in name.split("."))
