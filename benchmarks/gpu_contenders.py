"""What takes turns in `benchmarks/gpu.py`: a transformers host in several ways, or two of ours."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.assemble import build
from chiasm.backbone import StaticCache
from chiasm.compressing import compress
from chiasm.compression import NoCompression
from chiasm.compression.method import methods
from chiasm.cost.latency import prefill
from chiasm.cost.load import Load, load_inputs
from chiasm.decoding.generate import generate
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.model import Model
from chiasm.spec import Answers, Scale, Size, Work, registered
from chiasm.stream import Features

Prompt = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to answer the prompt: `prefill` gives the bytes of its cache."""

    name: str
    prefill: Callable[[], int]
    answer: Callable[[], Any]
    """Prefill, and so many tokens."""
    tokens: Callable[[], float]
    """Visual tokens alive, a mean over the decoder's layers."""
    alive: Callable[[], list[int]] = list[int]
    """The same layer by layer, behind a prefill; empty: all, or not known."""


Refused = dict[str, str]


def full(model: nn.Module, prompt: Prompt, new: int, *, attention: str) -> Contender:
    """The host as it is, under one of its attentions."""
    return _host(attention, model, prompt, new, lambda: _attending(model, attention), None)


def compressed(
    model: nn.Module, prompt: Prompt, new: int, keep: Mapping[str, float]
) -> tuple[list[Contender], Refused]:
    """The host under each method at its budget, and why others cannot be."""
    found: list[Contender] = []
    refused: Refused = {}
    for name, budget in keep.items():
        try:
            context = compress(model, name, keep=budget)
        except ChiasmError as error:
            refused[name] = str(error)
            continue
        found.append(_host(name, model, prompt, new, lambda c=context: c, context))
    return found, refused


def budgets(
    keep: float, own: Mapping[str, float], chosen: Sequence[str] | None
) -> dict[str, float]:
    """Every method at `keep`, or where its paper states another budget, at that."""
    return {name: own.get(name, keep) for name in methods() if chosen is None or name in chosen}


@contextmanager
def _attending(model: Any, name: str) -> Any:
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    yield
    model.set_attn_implementation(before)


def _host(
    name: str,
    model: Any,
    prompt: Prompt,
    new: int,
    entered: Callable[[], AbstractContextManager[Any]],
    context: Any,
) -> Contender:
    depth = model.config.get_text_config().num_hidden_layers

    @torch.inference_mode()
    def first() -> int:
        with entered():
            cache = model(**prompt, use_cache=True, logits_to_keep=1).past_key_values
        held = [t for layer in cache.layers for t in (layer.keys, layer.values)]
        return sum(t.numel() * t.element_size() for t in held)

    @torch.inference_mode()
    def answer() -> None:
        with entered():
            model.generate(
                **prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0
            )

    def alive() -> list[int]:
        steps = [] if context is None or not context.kept else [*context.kept, (depth, 0)]
        spans = pairwise(steps)
        return [count for (layer, count), (after, _) in spans for _ in range(layer, after)]

    def tokens() -> float:
        layers = alive() or [sum(ids_of_media(prompt, model))] * depth
        return sum(layers) / depth

    return Contender(name=name, prefill=first, answer=answer, tokens=tokens, alive=alive)


def ids_of_media(prompt: Prompt, model: Any) -> list[int]:
    """How many ids of the prompt stand for pictures, and for clips."""
    ids, config = prompt["input_ids"], model.config
    known = [getattr(config, f"{kind}_token_id", None) for kind in ("image", "video")]
    return [int((ids == token).sum()) for token in known if token is not None]


@dataclass(frozen=True, kw_only=True)
class GivenFeatures:
    """An encoder whose output is given, so that no encoder is timed."""

    lines: int
    columns: int
    width: int

    def grid(self, size: Size) -> tuple[int, int]:
        return self.lines, self.columns

    def build(self) -> nn.Module:
        return _Given(self)

    def work(self, size: Size) -> Sequence[Work]:
        return ()


class _Given(nn.Module):
    features: Tensor

    def __init__(self, config: GivenFeatures) -> None:
        super().__init__()
        self.grid = config.lines, config.columns
        features = torch.randn(1, config.lines * config.columns, config.width)
        self.register_buffer("features", features, persistent=False)

    def forward(self, images: Tensor, image_valid: Tensor | None = None) -> Features:
        return Features(self.features.expand(images.shape[0], -1, -1), self.grid)


@dataclass(frozen=True, kw_only=True)
class Fused:
    """A system of ours against the same parts with all tokens in the sequence."""

    slug: str
    grid: tuple[int, int] | None = None
    """Of the given features; None: what the system's own encoder gives."""
    own_connector: bool = False
    """Whether the plain twin keeps the system's connector instead of an MLP."""
    said: str

    def pair(self, scale: Scale) -> dict[str, Answers]:
        """The plain twin and the system, features given."""
        own = registered()[self.slug].at(scale)
        view = own.views.plan((336, 336))[0].target
        lines, columns = self.grid if self.grid and scale is Scale.PAPER else own.encoder.grid(view)
        given = GivenFeatures(lines=lines, columns=columns, width=own.encoder.width)
        own = replace(own, encoder=given)
        plain = registered()["llava-1.5"].at(scale)
        twin = replace(
            own,
            connector=own.connector if self.own_connector else plain.connector,
            fusion=InSequence(),
            visibility=plain.visibility,
            compression=NoCompression(),
            experts=plain.experts,
            positions=plain.positions,
        )
        return {"in sequence": twin, self.slug: own}


FUSED: Mapping[str, Fused] = {
    "saisa": Fused(slug="saisa", said="576 visual tokens, Vicuna-7B"),
    "saisa-2880": Fused(slug="saisa", grid=(48, 60), said="2,880 visual tokens, Vicuna-7B"),
    "ee-mllm": Fused(slug="ee-mllm", said="576 visual tokens, Vicuna-7B"),
    "llava-mini": Fused(slug="llava-mini", said="576 visual tokens, Vicuna-7B"),
    "slow-fast": Fused(
        slug="slow-fast", own_connector=True, said="128 frames of 81 tokens, Qwen2-7B"
    ),
    "flamingo": Fused(slug="flamingo", said="576 visual tokens into 64 latents, Vicuna-7B"),
}


def fused(
    part: Fused, *, scale: Scale, text: int, new: int, device: str, seed: int
) -> list[Contender]:
    """The plain twin and the system, random weights drawn on the device."""
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    made: list[Contender] = []
    for name, answers in part.pair(scale).items():
        model = build(answers, device=device, seed=seed).to(kind).eval().requires_grad_(False)
        inputs = load_inputs(answers, Load(text=text, new=new)).to(device)
        if inputs.images is not None:
            inputs = replace(inputs, images=inputs.images.to(kind))
        made.append(_ours(name, model, inputs, new))
    return made


def _ours(name: str, model: Model, inputs: Any, new: int) -> Contender:
    rows = inputs.table.shape[1]

    def first() -> int:
        cache = StaticCache(rows)
        prefill(model, inputs, cache)
        return cache.bytes

    return Contender(
        name=name,
        prefill=first,
        answer=lambda: generate(model, inputs, max_new=new),
        tokens=lambda: float((inputs.source >= 0).sum()),
    )
