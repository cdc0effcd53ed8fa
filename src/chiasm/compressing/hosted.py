"""Reducers attached to a transformers model, by hooks that leave with the context."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import wraps
from inspect import signature
from typing import Any

from torch import Tensor, nn

from chiasm.compressing.clip_question import ClipQuestion
from chiasm.compressing.host import Host, Medium
from chiasm.compressing.looking import Looking, told_of
from chiasm.compressing.packed_reading import packed_attention
from chiasm.compressing.reducing import Reducing
from chiasm.compressing.sample import Sample, samples_of
from chiasm.compressing.taking import watched
from chiasm.compressing.weights import quantised_weights
from chiasm.compression.companion import Precision
from chiasm.compression.evidence import Encoded, Look, TextSimilarity, reads_question
from chiasm.compression.reducer import Reducer
from chiasm.errors import Misuse

Hook = Callable[..., Any]


class HostReducing:
    """The reducers of one context on one transformers model."""

    def __init__(
        self,
        host: Host,
        reducers: Sequence[Reducer],
        looks: Sequence[Look],
        *,
        masked: bool,
        precision: Precision | None = None,
        question: ClipQuestion | None = None,
    ) -> None:
        self.precision = Precision() if precision is None else precision
        self.question = question
        if question is not None and TextSimilarity() in looks:
            # What CLIP compares with the question.
            looks = tuple(dict.fromkeys((*looks, Encoded())))
        self.host, self.reducers, self.looks, self.masked = host, tuple(reducers), looks, masked
        self.kept: list[tuple[int, int]] = []
        self._names = list(signature(host.core.forward).parameters)
        self._looking: Looking | None = None
        self._ids: Tensor | None = None
        self._encoder_runs = False
        self._reducing: Reducing | None = None
        self._watched = watched(host.tower, looks)

    def attach(self, stack: ExitStack) -> None:
        """Hook the model until the stack of callbacks is closed."""
        host = self.host
        layers: Any = host.decoder.layers
        if self.precision.weights is not None:
            stack.enter_context(quantised_weights(layers, self.precision.weights))
        if self.precision.visual_kv is not None:
            stack.enter_context(packed_attention(layers))
        elif not self.reducers:
            return
        stack.callback(self._forget)

        def before(module: nn.Module, hook: Hook) -> None:
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)

        for medium in host.media:
            encode = getattr(host.core, medium.features, None)
            if encode is not None:
                # An attribute of the instance hides the class's method until the context ends.
                setattr(host.core, medium.features, self._encoding(medium, encode))
                stack.callback(delattr, host.core, medium.features)
        before(host.core, self._called)
        before(host.decoder, self._entering)
        stack.callback(host.decoder.register_forward_hook(self._left).remove)
        for number, layer in enumerate(layers):
            before(layer, self._beginning(number))
        for block, looks in self._watched.items():
            before(block, self._watching(looks))
        if Encoded() in self.looks and host.projector is not None:
            before(host.projector, self._projecting)

    def _forget(self) -> None:
        self._looking = self._ids = self._reducing = None

    def _encoding(self, medium: Medium, encode: Hook) -> Hook:
        """The core's method that encodes a medium, watched. `generate` calls it before the core."""
        names = signature(encode)

        @wraps(encode)
        def run(*args: Any, **kwargs: Any) -> Any:
            if self._encoder_runs:
                return encode(*args, **kwargs)
            if self._looking is None or any(medium == of for of, _ in self._looking.calls):
                self._looking = Looking(self.host, self.looks)
            call = names.bind(*args, **kwargs).arguments
            # Pixels come first; transformers' releases call a clip's by different names.
            call[medium.pixels] = next(iter(call.values()))
            self._looking.calls.append((medium, call))
            self._encoder_runs = True
            try:
                return encode(*args, **kwargs)
            finally:
                self._encoder_runs = False

        return run

    def _called(self, core: nn.Module, args: tuple[Any, ...], told: dict[str, Any]) -> None:
        """A call of the multimodal model begins."""
        told = {**dict(zip(self._names, args, strict=False)), **told}
        self._reducing, self._ids = None, told.get("input_ids")
        if not told.get("mm_encoder_outputs"):
            self._looking = None
        pixels = any(told.get(medium.pixels) is not None for medium in self.host.media)
        if not pixels and self._looking is None:
            return
        if self._ids is None:
            raise Misuse(
                "compression finds visual tokens by their ids: give input_ids, no embeddings"
            )
        if reads_question(self.looks):
            self._check_question(self._ids, told.get("attention_mask"))

    def _check_question(self, ids: Tensor, mask: Tensor | None) -> None:
        """A text-scored method needs the question behind the pictures, in the same call."""
        tokens = [medium.token for medium in self.host.media]
        for number, row in enumerate(ids):
            own = row if mask is None else row[mask[number, -len(row) :].bool()]
            if own.numel() and int(own[-1]) in tokens:
                raise Misuse(
                    f"sample {number} ends with its pictures, and this method keeps what the "
                    f"question behind them asks for: a cached prefix would serve another question; "
                    f"use a method that does not read the text, or prefill with the question"
                )

    def _watching(self, looks: Sequence[Look]) -> Hook:
        def watch(block: nn.Module, args: tuple[Any, ...], told: dict[str, Any]) -> None:
            if self._encoder_runs and self._looking is not None:
                self._looking.watch(block, looks, told_of(args, told))

        return watch

    def _projecting(self, module: nn.Module, args: tuple[Any, ...], told: dict[str, Any]) -> None:
        if self._encoder_runs and self._looking is not None:
            self._looking.encoded.append(args[0] if args else next(iter(told.values())))

    def _entering(
        self, decoder: nn.Module, args: tuple[Any, ...], told: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The decoder is called with embeddings."""
        told = dict(told)
        samples: list[Sample] = []
        looking, self._looking = self._looking, None
        if looking is not None and self._ids is not None:
            samples = samples_of(self._ids, looking.items())
            self._ask(samples)
        self._reducing = Reducing(
            self.host,
            self.reducers,
            samples,
            told,
            masked=self.masked,
            visual_kv=self.precision.visual_kv,
        )
        self._reducing.enter(told)
        return args, told

    def _ask(self, samples: Sequence[Sample]) -> None:
        """Likeness to the question, where a method reads it; beams share their sample's."""
        if self.question is None or TextSimilarity() not in self.looks:
            return
        beams = max(1, len(samples) // len(self.question.ids))
        for number, sample in enumerate(samples):
            if len(sample):
                likeness = self.question.likeness(sample.seen[Encoded()], number // beams)
                sample.seen = {**sample.seen, TextSimilarity(): likeness}

    def _beginning(self, number: int) -> Hook:
        def begin(
            layer: nn.Module, args: tuple[Any, ...], told: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
            if self._reducing is None:
                return None
            told = told_of(args, told)
            self._reducing.begin(number, layer, told)
            return (told.pop("hidden_states"),), told

        return begin

    def _left(self, decoder: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        reducing, self._reducing = self._reducing, None
        if reducing is None:
            return output
        if reducing.samples:
            self.kept = reducing.counts
        if isinstance(output, tuple):
            return (reducing.leave(output[0]), *output[1:])
        output.last_hidden_state = reducing.leave(output.last_hidden_state)
        return output
