"""Mixture-of-experts feed-forwards in some layers: the answer, and its bill."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from chiasm.experts.adapted import AdaptingWeights, adapters_idle, adapters_work
from chiasm.experts.adapters import ATTENTION, Adapter, LoRA
from chiasm.experts.mixed import MixedFeedForward
from chiasm.experts.router import Router
from chiasm.experts.sites import feed_forward_shape
from chiasm.spec import Host, Work
from chiasm.spec.slots import Site
from chiasm.spec.work import LayerRows, linear
from chiasm.stream import Modality, Rows


@dataclass(frozen=True, kw_only=True)
class MixtureOfExperts:
    """y = sum_i w_i FFN_i(x) + FFN_shared(x), w from a router, in every `stride`-th layer.

    The router knows a row's group, the first of `kinds` that holds it (else the first of all).
    """

    kinds: tuple[Rows, ...]
    router: Router
    hidden: int | None
    """Hidden units of an expert; None: the host's."""
    shared: int
    """Hidden units of the feed-forward that every row passes besides; 0: none."""
    first: int
    """The first layer with experts."""
    stride: int
    adapters: tuple[Adapter, ...]
    """Beside linear layers that every row shares."""
    expert_lora: LoRA | None
    """Beside each expert's own matrices."""

    def __post_init__(self) -> None:
        if len(self.kinds) != len(self.router.eligibility):
            raise ValueError(
                f"the router knows {len(self.router.eligibility)} groups of rows, "
                f"{len(self.kinds)} are named"
            )

    @property
    def groups(self) -> tuple[Rows, ...]:
        return tuple(rows for adapter in self.adapters for rows in adapter.groups)

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return self.router.looks_ahead or any(adapter.looks_ahead for adapter in self.adapters)

    def mixes(self, layer: int) -> bool:
        """Whether a layer has experts."""
        return layer >= self.first and (layer - self.first) % self.stride == 0

    def weights(self, host: Host) -> "MixtureWeights":
        return MixtureWeights(host, self)

    def idle(self, host: Host, modality: Modality) -> int:
        mixed = sum(map(self.mixes, range(host.depth)))
        eligible = self.router.eligibility[self._group(modality)]
        unread = (self.router.scores - sum(eligible)) * host.width if self.router.apart else 0
        experts = self.router.experts - self._active(modality)
        in_mixed = experts * (self._matrices(host) + self._low_rank(host)) + unread
        beside = host.depth * adapters_idle(self.adapters, host, modality, ATTENTION)
        every = adapters_idle(self.adapters, host, modality, tuple(Site))
        dense = adapters_idle(self.adapters, host, modality, ATTENTION)
        return round(mixed * in_mixed) + beside + (host.depth - mixed) * (every - dense)

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        """Where the choice depends on other rows, as many pairs as training has are billed."""
        if not self.mixes(layer):
            beside = adapters_work(self.adapters, host, rows, name, tuple(Site))
            return (*rows.work(host, name), *beside)
        count = sum(rows.feed_forward.values())
        pairs = sum(round(n * self._active(m)) for m, n in rows.feed_forward.items())
        shared = feed_forward_shape(host, self.shared)
        return (
            *replace(rows, feed_forward={}).work(host, name),
            Work("decoder", f"{name} router", count * self.router.macs(host.width)),
            linear(
                "decoder", f"{name} experts", pairs, host.width, self._matrices(host) // host.width
            ),
            linear("decoder", f"{name} shared expert", count, host.width, shared // host.width),
            Work("decoder", f"{name} expert adapters", pairs * self._low_rank(host)),
            *adapters_work(self.adapters, host, rows, name, ATTENTION),
        )

    def hidden_of(self, host: Host) -> int:
        return host.ff_width if self.hidden is None else self.hidden

    def _matrices(self, host: Host) -> int:
        """Parameters of one expert."""
        return feed_forward_shape(host, self.hidden_of(host))

    def _low_rank(self, host: Host) -> int:
        """Parameters of one expert's adapters."""
        if self.expert_lora is None:
            return 0
        return (
            self.expert_lora.rank
            * len(self.expert_lora.sites)
            * (host.width + self.hidden_of(host))
        )

    def _active(self, modality: Modality) -> float:
        return self.router.selection.active(self.router.eligibility, self._group(modality))

    def _group(self, modality: Modality) -> int:
        held = [at for at, rows in enumerate(self.kinds) if modality in rows.modalities]
        return held[0] if held else 0


class MixtureWeights(AdaptingWeights):
    """A host's plain weights, adapters beside them, and mixed feed-forwards in some layers."""

    def __init__(self, host: Host, answer: MixtureOfExperts) -> None:
        super().__init__(host, answer.adapters)
        self.answer = answer

    def feed_forward(self, layer: int) -> nn.Module | None:
        answer, host = self.answer, self.host
        if not answer.mixes(layer):
            return super().feed_forward(layer)
        return MixedFeedForward(
            host,
            answer.kinds,
            answer.router,
            hidden=answer.hidden_of(host),
            shared=answer.shared,
            lora=answer.expert_lora,
        )
