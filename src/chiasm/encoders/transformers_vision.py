"""Any vision model of transformers, read at the hidden states that a system names."""

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.encoders.vision_families import FAMILIES, VisionFamily
from chiasm.errors import ChiasmError, Misuse
from chiasm.spec import Size, Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Features
from chiasm.weights import resolve

_NOT_SETTINGS = frozenset(
    {
        "architectures",
        "dtype",
        "id2label",
        "label2id",
        "model_type",
        "out_features",
        "out_indices",
        "output_attentions",
        "output_hidden_states",
        "problem_type",
        "return_dict",
        "stage_names",
        "transformers_version",
    }
)
"""Entries of a transformers config that describe a checkpoint or a call, not the network."""
_UNREAD = frozenset(
    {"attention_dropout", "initializer_factor", "initializer_range", "projection_dim"}
)
"""Settings that change no feature once weights are read."""


@dataclass(frozen=True, kw_only=True)
class TransformersVision:
    """A pretrained vision transformer (CLIP, SigLIP, DINOv2, Idefics2's, …) and where it is read.

    `settings` are the entries of its transformers config that differ from the defaults. Each of
    `taps` is an index into the hidden states (0: the embeddings, i: the output of layer i, -1: of
    the last layer, before any final norm); several are concatenated along the width. () reads the
    model's own final output, its last norm included. Layers deeper than the deepest tap keep their
    parameters but do not run. `drop_first` tokens are left out in front; None leaves out the
    family's class and register tokens, any other number leaves tokens of no grid (one row of
    them). `weights` names a folder, an alias or a hub id; None means fresh weights.

    Raises:
        Misuse: unknown model type, setting or tap, or a negative `drop_first`.
    """

    model_type: str
    settings: tuple[tuple[str, Any], ...] = ()
    taps: tuple[int, ...] = (-2,)
    drop_first: int | None = None
    weights: str | None = None

    def __post_init__(self) -> None:
        if self.model_type not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise Misuse(f"no vision model type {self.model_type!r}; known: {known}")
        depth, prefix = self.config.num_hidden_layers, self.family.prefix(self.config)
        wrong = [tap for tap in self.taps if not -depth - 1 <= tap <= depth]
        if wrong:
            raise Misuse(f"tap {wrong[0]} of a model of {depth} layers; taps run to {depth}")
        if self.drop_first is not None and self.drop_first < 0:
            raise Misuse(f"drop_first {self.drop_first} is below 0; {self.model_type} has {prefix}")
        object.__setattr__(self, "drop_first", self.dropped)

    @classmethod
    def from_config(
        cls,
        config: Any,
        taps: tuple[int, ...] = (-2,),
        drop_first: int | None = None,
        weights: str | None = None,
    ) -> "TransformersVision":
        """The value that stands for a transformers vision config."""
        return cls(
            model_type=config.model_type,
            settings=settings_of(config),
            taps=taps,
            drop_first=drop_first,
            weights=weights,
        )

    @property
    def family(self) -> VisionFamily:
        return FAMILIES[self.model_type]

    @property
    def config(self) -> Any:
        """The transformers config; shared, so not to be changed."""
        return _config(self.model_type, self.settings)

    @property
    def dropped(self) -> int:
        """How many tokens are left out in front."""
        return self.family.prefix(self.config) if self.drop_first is None else self.drop_first

    @property
    def width(self) -> int:
        """Width of a token: the taps' widths summed."""
        return self.config.hidden_size * max(1, len(self.taps))

    @property
    def places(self) -> tuple[int, ...]:
        """The taps, counted from the embeddings."""
        return tuple(tap % (self.config.num_hidden_layers + 1) for tap in self.taps)

    @property
    def layers(self) -> int:
        """How many layers run."""
        return max(self.places, default=self.config.num_hidden_layers)

    def grid(self, size: Size) -> tuple[int, int]:
        rows, columns = self._patches(size)
        spare = self.family.prefix(self.config) - self.dropped
        return (rows, columns) if spare == 0 else (1, rows * columns + spare)

    def build(self) -> "TappedVisionModel":
        """The encoder; its weights are read unless it is built on the meta device.

        Raises:
            ChiasmError: `weights` lacks a tensor, has one of another shape, or was made with other
                settings.
        """
        if self.weights is None or torch.empty(0).device.type == "meta":
            model = self.family.model()(self.config)
            if getattr(self.config, "_attn_implementation", None) is None:
                # A part of a model of transformers is told by the model, which is not here.
                self.config._attn_implementation = "sdpa"
        else:
            model = _read(self, self.weights)
        return TappedVisionModel(self, self.family.network(model))

    def work(self, size: Size) -> Sequence[Work]:
        config, (rows, columns) = self.config, self._patches(size)
        height, width = self._patch
        w, heads = config.hidden_size, config.num_attention_heads
        tokens = rows * columns + self.family.prefix(config)
        work = [
            linear("encoder", "patches", rows * columns, config.num_channels * height * width, w)
        ]
        for _ in range(self.layers):
            work += [
                linear("encoder", "attention projections", tokens, w, 4 * w),
                attention("encoder", "attention", tokens * tokens, heads, w // heads),
                Work("encoder", "feed-forward", tokens * self.family.feed_forward(config)),
            ]
        return work

    def _patches(self, size: Size) -> tuple[int, int]:
        height, width = self._patch
        return size[0] // height, size[1] // width

    @property
    def _patch(self) -> tuple[int, int]:
        return _pair(self.config.patch_size)


class TappedVisionModel(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, rows * columns, width]`.

    `model` is the transformers module, with transformers' parameter names.
    """

    def __init__(self, answer: TransformersVision, model: nn.Module) -> None:
        super().__init__()
        self.answer, self.model = answer, model
        layers: Any = model.get_submodule(answer.family.layers)
        for layer in list(layers)[answer.layers :]:
            layer.forward = _hand_on
        for name, child in model.named_children():
            if name in answer.family.unread:
                child.forward = _hand_on

    @property
    def patches(self) -> nn.Conv2d | None:
        """The convolution that embeds patches; None in families that take them flattened."""
        return next((one for one in self.model.modules() if isinstance(one, nn.Conv2d)), None)

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """Tokens in reading order; one is valid if all of its pixels are, or any (`whole_patches`).

        Raises:
            Misuse: padded images for a model type that cannot leave padding out.
        """
        answer = self.answer
        grid = answer.grid((images.shape[-2], images.shape[-1]))
        valid = None if image_valid is None else self._valid(image_valid)
        feed = answer.family.feed(answer.config, images.to(_dtype(self.model)), valid)
        if valid is not None and not answer.family.masks_padding:
            if not bool(valid.all()):
                padded = int((~valid).sum())
                raise Misuse(
                    f"{answer.model_type} cannot leave out padding: {padded} of {valid.numel()} "
                    "patches are not wholly of the image; resize the images to one size"
                )
            valid = None
        layers: Any = self.model.get_submodule(answer.family.layers)
        with _recorded(list(layers), answer.places) as states:
            output = self.model(*feed)
        dropped = answer.dropped
        taps = tuple(states[place][:, dropped:] for place in answer.places)
        tokens = torch.cat(taps, -1) if taps else output.last_hidden_state[:, dropped:]
        return Features(
            tokens, grid, None if valid is None else valid.flatten(1)[:, dropped:], taps
        )

    def _valid(self, image_valid: Tensor) -> Bool[Tensor, "image row column"]:
        height, width = _pair(self.answer.config.patch_size)
        patches = image_valid.unfold(1, height, height).unfold(2, width, width)
        whole = self.answer.family.whole_patches
        return patches.flatten(3).all(-1) if whole else patches.flatten(3).any(-1)


@contextmanager
def _recorded(layers: list[nn.Module], places: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Collects the hidden states at `places` during one call, and keeps no other."""
    states: dict[int, Tensor] = {}
    caller = threading.get_ident()  # other threads may run the same layers meanwhile

    def before(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if threading.get_ident() == caller:
            states[0] = inputs[0]

    def after(place: int, layer: nn.Module, inputs: Any, output: Any) -> None:
        if threading.get_ident() == caller:
            states[place] = output if isinstance(output, Tensor) else output[0]

    handles = [
        layers[place - 1].register_forward_hook(functools.partial(after, place))
        if place
        else layers[0].register_forward_pre_hook(before)
        for place in set(places)
    ]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def settings_of(config: Any) -> tuple[tuple[str, Any], ...]:
    """The entries of a transformers config that differ from its defaults, by name."""
    defaults = type(config)().to_dict()
    return tuple(
        (name, _frozen(value))
        for name, value in sorted(config.to_dict().items())
        if name not in _NOT_SETTINGS
        and not name.startswith("_")
        and _frozen(value) != _frozen(defaults.get(name))
    )


@functools.cache
def _config(model_type: str, settings: tuple[tuple[str, Any], ...]) -> Any:
    family = FAMILIES[model_type]
    make = family.config()
    known = set(dir(make())) | family.optional
    unknown = [name for name, _ in settings if name not in known]
    if unknown:
        raise Misuse(f"{model_type} has no setting {unknown[0]!r}; see {make.__name__}")
    return make(**dict(settings))


def _read(answer: TransformersVision, weights: str) -> nn.Module:
    """The model of a checkpoint folder; one that does not fit is refused."""
    folder = resolve(weights)
    family = answer.family
    theirs, ours = dict(settings_of(family.config().from_pretrained(folder))), dict(answer.settings)
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in _UNREAD and theirs.get(name) != ours.get(name):
            raise ChiasmError(
                f"{weights}: {name} is {_said(theirs, name)}, the system says {_said(ours, name)}; "
                "name other weights or other settings"
            )
    try:
        model, report = family.model().from_pretrained(
            folder, config=answer.config, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ChiasmError(f"{weights} does not hold a {answer.model_type}: {first}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ChiasmError(
            f"{weights} lacks {len(missing)} tensors of {answer.model_type}, first {missing[0]}; "
            "fetch or export it again"
        )
    return model


def _said(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "the default"


def _hand_on(hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """What replaces the forward of a module whose output nobody reads."""
    return hidden


def _dtype(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list | tuple) else value
