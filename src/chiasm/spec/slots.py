"""The backbone's slots, as protocols: rooms fill them without importing the backbone.

One layer, in order, `n` its norms and h its hidden states:

    h = before(h)                      a memory read with weights of its own; rows overwritten
    q, k, v of n(h); and joined(...)   further keys and values in the sequence's softmax
    read = beside(read)                a second softmax, merged before W_o
    h = h + W_o read
    h = between(h)                     a read between attention and feed-forward
    h = h + feed_forward(n(h))

`before` at the depth of the stack acts behind its last layer.

Where the host has a state-space mixer, it stands for q, k, v, the softmax and W_o; `joined` and
`beside`, which belong to a softmax, then have no place.

`choose` may leave rows out of the whole layer; a prologue acts on the stream before the first
layer, an epilogue on what the final norm gives. Every weight of a layer is made by a `Weights`
(question 5), and is called with the rows it works on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.spec.host import Host
from chiasm.spec.reading import Chosen, Execution, Inside, Kept, Reading
from chiasm.stream import Permission, Rows, Rule, Stream, TokenTable

StackMaker = Callable[[int], nn.Module]
"""Makes a stack of so many further decoder blocks, under the rule of fused rows."""


Permit = Callable[[Rule, TokenTable, TokenTable], Permission]
"""A rule between rows that ask and rows that are seen, made concrete."""


class Before(Protocol):
    """Acts on the hidden states: as a layer begins, or between its two halves."""

    def __call__(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]: ...


class Beside(Protocol):
    """Changes what the query rows read `[batch, query, heads * head_width]`, before W_o.

    One that sets `reads_pairs` is given the sequence's permission as a dense mask.
    """

    def __call__(
        self, inside: Inside, read: Float[Tensor, "batch query inner"]
    ) -> Float[Tensor, "batch query inner"]: ...


def reads_pairs(beside: object) -> bool:
    """Whether what fills a slot beside the read asks for a dense permission."""
    return bool(getattr(beside, "reads_pairs", False))


class Joined(Protocol):
    """Keys and values `[batch, kv_head, memory, head_width]` that share the softmax with the
    sequence's; `inside.reading.dense_permission` says who sees them.
    """

    def __call__(self, inside: Inside) -> tuple[Tensor, Tensor]: ...


class Choose(Protocol):
    """Which rows a layer runs; None for all of them."""

    def __call__(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Chosen | None: ...


class Thin(Protocol):
    """Which rows go on from a layer's input; None for all of them, as they are.

    It is called with the block that comes next, and with what makes that layer's permission
    `[batch, row, key]`, earlier calls' keys included, where it asks.
    """

    def __call__(
        self,
        hidden: Float[Tensor, "batch token width"],
        reading: Reading,
        block: nn.Module,
        permission: Callable[[], Permission],
    ) -> Kept | None: ...


class Prologue(Protocol):
    """Acts on the stream before the first layer."""

    def __call__(self, stream: Stream, execution: Execution) -> Stream: ...


class Epilogue(Protocol):
    """Acts on the normed hidden states, behind the last layer; what it gives is what heads read,
    of whatever width.
    """

    def __call__(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token read"]: ...


class Site(StrEnum):
    """A weight of a layer."""

    QUERY = "q"
    KEY = "k"
    VALUE = "v"
    OUTPUT = "o"
    GATE = "gate"
    UP = "up"
    DOWN = "down"
    MIXER_IN = "in"
    """Of a state-space mixer: gate, x, B, C and delta at once."""
    MIXER_OUT = "out"


class NormSite(StrEnum):
    """A norm of a layer."""

    ATTENTION = "attention"
    FEED_FORWARD = "feed_forward"
    QUERY = "query"
    KEY = "key"
    READ = "read"
    """Over what the heads read, before W_o (sub-LN)."""
    HIDDEN = "hidden"
    """Over the feed-forward's hidden units (sub-LN)."""
    EMBEDDING = "embedding"
    """Over what enters the stack."""
    FINAL = "final"
    """After the last layer."""


class Weights(Protocol):
    """Makes the weights of a stack's layers. What it makes is called as `module(x, reading)`, x
    `[batch, token, width]` and `reading` of exactly those rows.
    """

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        """One projection."""
        ...

    def norm(self, layer: int, site: NormSite, width: int) -> nn.Module:
        """One norm of the host's kind."""
        ...

    def feed_forward(self, layer: int) -> nn.Module | None:
        """A layer's feed-forward; None where the host has none."""
        ...

    def choose(self, layer: int) -> nn.Module | None:
        """A router that lets rows skip the layer; None where every row runs it."""
        ...


@dataclass(frozen=True)
class SlotParts:
    """What `build` hands a fusion answer: makers of parts that other rooms own."""

    memory_width: int
    """Width of the memory tokens that layers read."""
    projector: Callable[[], nn.Module]
    """Makes one layer's projector from memory width to host width."""
    stack: StackMaker
    permit: Permit
    """Makes a rule concrete, as a dense mask, for what reads rows by a rule of its own."""


Layers = Mapping[int, nn.Module]


@dataclass(frozen=True)
class Tower:
    """A second live stack, over the media tokens, in lock step with the host's.

    At every link (host layer, tower layer), ascending in both, the two `before` slots of those
    layers read the other stack's state as it is then, both before either changes.
    """

    host: Host
    """The tower's own sizes; media tokens come in its width."""
    rule: Rule
    """Among the tower's rows."""
    links: tuple[tuple[int, int], ...]
    before: Layers
    """By tower layer: what reads the host's rows. The host's side is in `Slots.before`."""
    rule_back: Rule
    """Which of the host's rows a tower row reads; the other way is the memory's rule."""
    after: nn.Module | None = None
    """Joins both last states: `(host rows, tower rows or None, memory's table or None, cache)` to
    host rows. The tower's rows are None in a cached step."""


@dataclass(frozen=True)
class Ahead:
    """A whole stack before the host's, of another width, that all rows pass under the sequence's
    rule. Words are looked up and media tokens come in its width; a linear map without a bias leads
    to the host's (`chiasm.backbone.chain`).
    """

    host: Host
    """Its own sizes."""


@dataclass(frozen=True)
class Level:
    """An outer stage: its sizes, and how many rows of the next stage one of its rows covers."""

    host: Host
    covers: int


@dataclass(frozen=True)
class Levels:
    """Stages around the host's, outermost first: the host runs over ids, each stage over patches of
    the one inside it (`chiasm.backbone.hierarchy`).
    """

    outer: tuple[Level, ...]
    chunk: int
    """Outermost patches whose inner stages run at a time."""


@dataclass(frozen=True)
class Slots:
    """Modules by layer for each slot, the prologue of the stack, what is ahead of it, the
    tower beside it, the stages around it.
    """

    before: Layers = field(default_factory=dict[int, nn.Module])
    joined: Layers = field(default_factory=dict[int, nn.Module])
    beside: Layers = field(default_factory=dict[int, nn.Module])
    between: Layers = field(default_factory=dict[int, nn.Module])
    prologue: nn.Module | None = None
    epilogue: nn.Module | None = None
    ahead: Ahead | None = None
    tower: Tower | None = None
    levels: Levels | None = None
    groups: tuple[Rows, ...] = ()
    """Row sets that must be contiguous in storage, because a slot works on them alone."""
