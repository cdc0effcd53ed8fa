"""Vision models of transformers: how each family is called, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Feed = Callable[
    [Any, Float[Tensor, "image 3 height width"], Bool[Tensor, "image row column"] | None],
    tuple[Any, ...],
]
"""(config, images, valid patches) to the arguments of the network's forward; in order, as their
names changed between releases."""


@dataclass(frozen=True, kw_only=True)
class VisionFamily:
    """What differs between the vision models of transformers, apart from their sizes."""

    package: str
    """Folder of the family in `transformers.models`."""
    model_class: str
    config_class: str
    feed: Feed
    prefix: Callable[[Any], int]
    """Class and register tokens before the patches, from the config."""
    feed_forward: Callable[[Any], int]
    """Multiply-adds of one layer's feed-forward for one token, from the config."""
    inner: str = "vision_model"
    """Name of the network inside a model that wraps it."""
    layers: str = "encoder.layers"
    """Name of the list of layers inside the model."""
    masks_padding: bool = False
    whole_patches: bool = True
    """Whether a patch that holds any padding is left out, or only one that holds nothing else."""
    unread: tuple[str, ...] = ()
    """Children whose output is no hidden state: kept, not run."""
    optional: frozenset[str] = frozenset()
    """Settings that early transformers 5 reads but does not declare."""

    def model(self) -> Any:
        """The model's class."""
        return self._found("modeling", self.model_class)

    def config(self) -> Any:
        """The config's class."""
        return self._found("configuration", self.config_class)

    def network(self, model: nn.Module) -> nn.Module:
        """The network inside a model of this family.

        Early transformers 5 wraps it in one more module, and Ovis2 keeps its visual words beside
        it; without the wrapper, parameters have one name in all releases.
        """
        return getattr(model, self.inner, model)

    def _found(self, kind: str, name: str) -> Any:
        return getattr(
            import_module(f"transformers.models.{self.package}.{kind}_{self.package}"), name
        )


def _interpolated(config: Any, images: Tensor, valid: Tensor | None) -> tuple[Any, ...]:
    """Learned positions stretch to sizes other than the native one when asked."""
    native = images.shape[-2] == images.shape[-1] == config.image_size
    return images, not native


def _plain(config: Any, images: Tensor, valid: Tensor | None) -> tuple[Any, ...]:
    return (images,)


def _patch_mask(config: Any, images: Tensor, valid: Tensor | None) -> tuple[Any, ...]:
    return images, valid


def _flat_patches(config: Any, images: Tensor, valid: Tensor | None) -> tuple[Any, ...]:
    """SigLIP2 takes rows of flattened patches (pixels of a patch, then channels) and their grid."""
    side = config.patch_size
    patches = images.unfold(2, side, side).unfold(3, side, side)
    count, _, rows, columns = patches.shape[:4]
    flat = patches.permute(0, 2, 3, 4, 5, 1).reshape(count, rows * columns, -1)
    seen = torch.ones(flat.shape[:2], dtype=torch.long, device=images.device)
    return flat, seen, torch.tensor([[rows, columns]] * count, device=images.device)


def _no_prefix(config: Any) -> int:
    return 0


def _class_token(config: Any) -> int:
    return 1


def _registers(config: Any) -> int:
    return 1 + config.num_register_tokens


def _two_matrices(config: Any) -> int:
    return 2 * config.hidden_size * config.intermediate_size


def _three_matrices(config: Any) -> int:
    return 3 * config.hidden_size * config.intermediate_size


def _dino(config: Any) -> int:
    """SwiGLU holds three matrices of two thirds of the hidden width, rounded up to eights."""
    hidden = int(config.hidden_size * config.mlp_ratio)
    if not config.use_swiglu_ffn:
        return 2 * config.hidden_size * hidden
    return 3 * config.hidden_size * ((int(hidden * 2 / 3) + 7) // 8 * 8)


FAMILIES: Mapping[str, VisionFamily] = MappingProxyType(
    {
        "clip_vision_model": VisionFamily(
            package="clip",
            model_class="CLIPVisionModel",
            config_class="CLIPVisionConfig",
            feed=_interpolated,
            prefix=_class_token,
            feed_forward=_two_matrices,
        ),
        "siglip_vision_model": VisionFamily(
            package="siglip",
            model_class="SiglipVisionModel",
            config_class="SiglipVisionConfig",
            feed=_interpolated,
            prefix=_no_prefix,
            feed_forward=_two_matrices,
            unread=("head",),
            optional=frozenset({"vision_use_head"}),
        ),
        "siglip2_vision_model": VisionFamily(
            package="siglip2",
            model_class="Siglip2VisionModel",
            config_class="Siglip2VisionConfig",
            feed=_flat_patches,
            prefix=_no_prefix,
            feed_forward=_two_matrices,
            unread=("head",),
            optional=frozenset({"vision_use_head"}),
        ),
        "dinov2": VisionFamily(
            package="dinov2",
            model_class="Dinov2Model",
            config_class="Dinov2Config",
            feed=_plain,
            prefix=_class_token,
            feed_forward=_dino,
            layers="encoder.layer",
        ),
        "dinov2_with_registers": VisionFamily(
            package="dinov2_with_registers",
            model_class="Dinov2WithRegistersModel",
            config_class="Dinov2WithRegistersConfig",
            feed=_plain,
            prefix=_registers,
            feed_forward=_dino,
            layers="encoder.layer",
        ),
        "idefics_vision": VisionFamily(
            package="idefics",
            model_class="IdeficsVisionTransformer",
            config_class="IdeficsVisionConfig",
            feed=_interpolated,
            prefix=_class_token,
            feed_forward=_two_matrices,
        ),
        "idefics2_vision": VisionFamily(
            package="idefics2",
            model_class="Idefics2VisionTransformer",
            config_class="Idefics2VisionConfig",
            feed=_patch_mask,
            prefix=_no_prefix,
            feed_forward=_two_matrices,
            masks_padding=True,
        ),
        "ovis2_vision": VisionFamily(
            package="ovis2",
            model_class="Ovis2VisionModel",
            config_class="Ovis2VisionConfig",
            feed=_plain,
            prefix=_no_prefix,
            feed_forward=_three_matrices,
            inner="transformer",
        ),
        **{
            f"{package}_vision": VisionFamily(
                package=package,
                model_class=f"{name}VisionTransformer",
                config_class=f"{name}VisionConfig",
                feed=_patch_mask,
                prefix=_no_prefix,
                feed_forward=_two_matrices,
                masks_padding=True,
                whole_patches=False,
            )
            for package, name in (("idefics3", "Idefics3"), ("smolvlm", "SmolVLM"))
        },
    }
)
"""By transformers `model_type`. A further family is one more entry."""
