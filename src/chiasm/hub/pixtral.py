"""Pixtral's vision config as an encoder, and an encoder as Pixtral's vision config."""

from typing import Any

from chiasm.encoders import RotaryViT
from chiasm.errors import ChiasmError
from chiasm.spec import NativeResolution
from chiasm.spec.views import Views


def encoder_of(config: Any, taps: tuple[int, ...]) -> RotaryViT:
    """The encoder of a `PixtralVisionConfig`, read at `taps`.

    Raises:
        ChiasmError: a setting that it does not have; the message names it.
    """
    rope = dict(config.rope_parameters)
    plain = {"rope_type": "axial", "rope_theta": rope.get("rope_theta")}
    unlike = sorted(name for name, value in rope.items() if plain.get(name) != value)
    refused = {
        "patch_size": not isinstance(config.patch_size, int),
        "num_channels": config.num_channels != 3,
        "attention_dropout": bool(config.attention_dropout),
        "rope_parameters": bool(unlike),
        "head_dim": config.head_dim * config.num_attention_heads != config.hidden_size
        or config.head_dim % 2
        or config.head_dim < 4,
    }
    for name, wrong in refused.items():
        if wrong:
            raise ChiasmError(
                f"the vision config's {name} = {getattr(config, name)!r} is not supported for "
                "'pixtral'; convert the checkpoint or change config.json"
            )
    return RotaryViT(
        patch=config.patch_size,
        hidden=config.hidden_size,
        depth=config.num_hidden_layers,
        heads=config.num_attention_heads,
        ff_width=config.intermediate_size,
        activation=config.hidden_act,
        theta=float(rope["rope_theta"]),
        taps=taps,
    )


def views_of(config: Any) -> NativeResolution:
    """Native sizes, the longer edge at most as the config says."""
    size = config.image_size
    longest = size if isinstance(size, int) else max(size)
    side = config.patch_size
    return NativeResolution(longest=longest, shortest=side, multiple=side)


def config_of(encoder: RotaryViT, views: Views) -> Any:
    """The `PixtralVisionConfig` of an encoder; `views` gives the longest edge it was made for.

    Raises:
        ChiasmError: a norm's epsilon, which Pixtral fixes.
    """
    from transformers import PixtralVisionConfig

    if encoder.norm_eps != 1e-5:
        raise ChiasmError(
            f"encoder.norm_eps = {encoder.norm_eps} has no counterpart in transformers' 'pixtral' "
            "(it would read 1e-05)"
        )
    return PixtralVisionConfig(
        hidden_size=encoder.hidden,
        intermediate_size=encoder.ff_width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        image_size=getattr(views, "longest", 1024),
        patch_size=encoder.patch,
        hidden_act=encoder.activation,
        rope_parameters={"rope_type": "axial", "rope_theta": encoder.theta},
    )
