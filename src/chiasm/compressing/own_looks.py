"""The looks that reducers need, taken while an encoder of ours runs."""

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.hosts.parts import separate_tower
from chiasm.compressing.looking import told_of
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
    if isinstance(encoder, TappedVisionModel) and encoder.answer.model_type in SEPARATE:
        return separate_tower(encoder.model, class_tokens=encoder.answer.dropped)
    return None


SEPARATE = ("clip_vision_model", "siglip_vision_model")


class OwnLooks:
    """Maps of patches, picture by picture; a token has the mean over the patches it stands for."""

    def __init__(self, model: Model, looks: Sequence[Look]) -> None:
        self.model = model
        self.tower = _tower(model.encoder)
        self.looks = tuple(
            look for look in looks if isinstance(look, BlockLook | BlockKeys | PixelLook)
        )
        self._maps: dict[Look, list[Tensor]] = defaultdict(list)
        self._grid = (0, 0)
        blocks = [look for look in self.looks if isinstance(look, BlockLook | BlockKeys)]
        if blocks and self.tower is None:
            raise Misuse(
                f"a method that reads the encoder's attention cannot be attached to "
                f"{type(model.encoder).__name__}, whose attention is not to be had"
            )
        for look in blocks:
            if not -self.blocks <= look.block < self.blocks:
                raise Misuse(f"block {look.block} is looked at, the encoder has {self.blocks}")

    @property
    def blocks(self) -> int:
        return 0 if self.tower is None else len(self.tower.blocks)

    @property
    def class_tokens(self) -> int:
        return 0 if self.tower is None else self.tower.class_tokens

    def attach(self, stack: ExitStack) -> None:
        """Watch the encoder."""
        watched: dict[nn.Module, list[Look]] = defaultdict(list)
        for look in self.looks:
            if isinstance(look, BlockLook | BlockKeys):
                watched[self.tower.blocks[look.block]].append(look)
        for block, looks in watched.items():
            hook = block.register_forward_pre_hook(self._watching(looks), with_kwargs=True)
            stack.callback(hook.remove)
        if self.looks and self.model.encoder is not None:
            stack.callback(self.model.encoder.register_forward_hook(self._encoded).remove)

    def begin(self, inputs: Inputs) -> None:
        """A new call."""
        self._maps.clear()
        if self.looks and inputs.image_valid is not None and not bool(inputs.image_valid.all()):
            raise Misuse(
                "pictures padded to one size cannot be looked at by a compression method; "
                "resize them to one size (Pixels.fit)"
            )
        for look in self.looks:
            if isinstance(look, PixelLook) and inputs.images is not None:
                self._maps[look] = [self._of_pixels(look, one) for one in inputs.images]

    def _of_pixels(self, look: PixelLook, pixels: Tensor) -> Tensor:
        of: Any = self.model.answers
        mean, std = (
            torch.tensor(values, device=pixels.device).view(3, 1, 1)
            for values in (of.pixels.mean, of.pixels.std)
        )
        shown = (pixels.float() * std + mean).clamp(0, 1)
        return look.of_pixels(shown, of.encoder.patch).unsqueeze(-1)

    def _watching(self, looks: Sequence[Look]) -> Any:
        @torch.no_grad()
        def watch(block: nn.Module, args: tuple[Any, ...], told: dict[str, Any]) -> None:
            told, skipped = told_of(args, told), self.tower.class_tokens
            for q, k in self.tower.queries_keys(block, told["hidden_states"], told):
                for look in looks:
                    if isinstance(look, BlockKeys):
                        self._maps[look].append(k[:, skipped:].transpose(0, 1).flatten(1))
                    elif isinstance(look, BlockLook):
                        asking = q if look.rows_of_all else q[:, :1]
                        attention = (asking @ k.mT).float().softmax(-1)
                        self._maps[look].append(look.per_patch(attention, skipped).unsqueeze(-1))

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
        for look in self.looks:
            maps = self._maps.get(look)
            if maps is not None:
                stacked = torch.stack([self._of_tokens(one, each) for one in maps])
                value = stacked[image, token]
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
