"""The looks that reducers need, taken while an encoder of ours runs."""

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.hosts.parts import NORMALISED, separate_tower
from chiasm.compressing.looking import told_of
from chiasm.compressing.taking import at_attention, at_pixels, watched
from chiasm.compressing.towers import JoinedTower
from chiasm.compression.evidence import BlockKeys, BlockLook, Look, PixelLook
from chiasm.encoders.transformers_vision import TappedVisionModel
from chiasm.encoders.vit import VisionTransformerEncoder
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.stream import Inputs


def _tower(encoder: nn.Module | None) -> Any:
    """The encoder's attention, block by block; None where it has none that can be looked at."""
    if isinstance(encoder, VisionTransformerEncoder):
        return JoinedTower(list(encoder.layers), int(encoder.config.class_token))
    if isinstance(encoder, TappedVisionModel) and encoder.answer.model_type in NORMALISED:
        return separate_tower(encoder.model, class_tokens=encoder.answer.dropped)
    return None


class OwnLooks:
    """Maps of patches, picture by picture; a token has the mean over the patches it stands for."""

    def __init__(self, model: Model, looks: Sequence[Look]) -> None:
        self.model = model
        self.tower = _tower(model.encoder)
        self.looks = tuple(
            look for look in looks if isinstance(look, BlockLook | BlockKeys | PixelLook)
        )
        self._maps: dict[Look, list[Tensor]] = defaultdict(list)
        """Picture by picture, as the encoder ran them."""
        self._tokens: dict[Look, Tensor] = {}
        """The same of tokens, `[picture, token, channel]`, made when first asked for."""
        self._grid = (0, 0)
        blocks = any(isinstance(look, BlockLook | BlockKeys) for look in self.looks)
        if blocks and self.tower is None:
            raise Misuse(
                f"a method that reads the encoder's attention cannot be attached to "
                f"{type(model.encoder).__name__}, whose attention is not to be had"
            )
        self._watched = watched(self.tower, self.looks) if blocks else {}

    @property
    def blocks(self) -> int:
        return 0 if self.tower is None else len(self.tower.blocks)

    @property
    def class_tokens(self) -> int:
        return 0 if self.tower is None else self.tower.class_tokens

    def attach(self, stack: ExitStack) -> None:
        """Watch the encoder."""
        for block, looks in self._watched.items():
            hook = block.register_forward_pre_hook(self._watching(looks), with_kwargs=True)
            stack.callback(hook.remove)
        if self.looks and self.model.encoder is not None:
            stack.callback(self.model.encoder.register_forward_hook(self._encoded).remove)

    def begin(self, inputs: Inputs) -> None:
        """A new call."""
        self._maps.clear()
        self._tokens.clear()
        if self.looks and inputs.image_valid is not None and not bool(inputs.image_valid.all()):
            raise Misuse(
                "pictures padded to one size cannot be looked at by a compression method; "
                "resize them to one size (Pixels.fit)"
            )
        of: Any = self.model.answers
        for look in self.looks:
            if isinstance(look, PixelLook) and inputs.images is not None:
                self._maps[look] = [
                    at_pixels(look, one, of.pixels.mean, of.pixels.std, of.encoder.patch)
                    for one in inputs.images
                ]

    def _watching(self, looks: Sequence[Look]) -> Any:
        def watch(block: nn.Module, args: tuple[Any, ...], told: dict[str, Any]) -> None:
            for look, values in at_attention(self.tower, block, looks, told_of(args, told)):
                self._maps[look].append(values)

        return watch

    def _encoded(self, encoder: nn.Module, args: Any, features: Any) -> None:
        self._grid = features.grid

    def of(self, sample: int, source: Tensor, inputs: Inputs) -> dict[Look, Tensor]:
        """Each look at the tokens that some rows of a sample stand for."""
        if not self.looks or not source.numel() or inputs.owners is None:
            return {}
        assert inputs.memory is not None
        items = inputs.owners.shape[1]
        each = inputs.memory.shape[1] // items
        image = inputs.owners[sample, source // each]
        token = source % each
        found: dict[Look, Tensor] = {}
        for look, maps in self._maps.items():
            if look not in self._tokens:
                self._tokens[look] = torch.stack([self._of_tokens(one, each) for one in maps])
            value = self._tokens[look][image, token]
            found[look] = value.squeeze(-1) if value.shape[-1] == 1 else value
        return found

    def _of_tokens(self, patches: Tensor, tokens: int) -> Tensor:
        """Means over squares of patches, where several make a token."""
        if patches.shape[0] == tokens:
            return patches
        side = math.isqrt(max(1, patches.shape[0] // tokens))
        rows, columns = self._grid
        if side * side * tokens != patches.shape[0] or rows * columns != patches.shape[0]:
            raise Misuse(
                f"{patches.shape[0]} patches become {tokens} tokens otherwise than square by "
                f"square: a method that looks at patches cannot be attached"
            )
        grid = patches.view(rows // side, side, columns // side, side, -1)
        return grid.mean((1, 3)).flatten(0, 1)
