"""What an answer of each room promises: counts before pixels, a module, and its bill."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from chiasm.spec.host import Host
from chiasm.spec.latent import Context, Latent
from chiasm.spec.slots import SlotParts, Slots, Weights
from chiasm.spec.views import Size
from chiasm.spec.work import LayerRows, Work
from chiasm.stream import Modality, RowPlan, Rows, TokenTable


class Encoder(Protocol):
    """Question 1. `build()` gives a module `(images, image_valid) -> Features`."""

    @property
    def width(self) -> int: ...

    def grid(self, size: Size) -> tuple[int, int]:
        """Rows and columns of tokens for a view of `size` pixels."""
        ...

    def build(self) -> nn.Module | None: ...

    def work(self, size: Size) -> Sequence[Work]:
        """Multiply-adds of one view."""
        ...


class Connector(Protocol):
    """Question 2. `build(width, host_width)` gives a module whose verb `connect(features, asked)`
    gives `Tokens`.
    """

    @property
    def layerwise(self) -> bool:
        """True when every decoder layer owns a projector and the tokens stay features."""
        ...

    @property
    def conditioned(self) -> bool:
        """True when `connect` reads what is asked about the image (`chiasm.stream.Asked`)."""
        ...

    def count(self, grid: tuple[int, int]) -> int:
        """Tokens that a view of this grid becomes."""
        ...

    def width(self, width: int, host_width: int) -> int:
        """Width of the tokens that come out, and that layers read."""
        ...

    def build(self, width: int, host_width: int) -> nn.Module | None: ...

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]: ...


class Conditioned(Connector, Protocol):
    """A connector that reads what is asked, as far as its bill."""

    @property
    def browses(self) -> bool:
        """True when it reads the whole model's first pass over the prompt (`Asked.browse`)."""
        ...

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        """What it does for a view besides `work`, with `text` rows asked."""
        ...


class Browsing(Conditioned, Protocol):
    """A connector that reads the first pass, as far as its bill."""

    def browsed_work(self, host_width: int) -> Sequence[Work]:
        """What it makes of the first pass for a view."""
        ...


class Fusion(Protocol):
    """Question 3: where tokens enter, which rows do which work, and what fills the slots."""

    def plan(self, layer: int) -> RowPlan:
        """Which rows do which work in a layer."""
        ...

    @property
    def projects(self) -> bool:
        """True when every layer makes its tokens of the features with a projector of its own."""
        ...

    @property
    def as_wide(self) -> bool:
        """True when the tokens that layers read are as wide as the host's rows."""
        ...

    @property
    def gives_states(self) -> bool:
        """True when what it leaves to the head are states on the way to an answer, and no rows."""
        ...

    @property
    def most_axes(self) -> int | None:
        """Axes of positions that it can number its rows along; None for any number."""
        ...

    @property
    def enters(self) -> bool:
        """True when connected tokens take placeholder rows of the sequence at its entry."""
        ...

    @property
    def looks_ahead(self) -> bool:
        """True when what becomes of media depends on text that follows them."""
        ...

    def token_width(self, host: Host) -> int:
        """Width that the connector is to give tokens: the host's, or a tower's."""
        ...

    @property
    def reads_memory(self) -> bool:
        """True when layers (or the prologue) read the connected tokens besides the sequence."""
        ...

    def placeholders(self, tokens: int) -> int:
        """Rows an image of `tokens` tokens occupies in the sequence."""
        ...

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        """The modules in the backbone's slots."""
        ...

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        """Multiply-adds of the slots for `text` rows and `tokens` memory tokens of `width`."""
        ...

    def cached(self, host: Host, tokens: int) -> int:
        """Numbers that the slots keep of `tokens` memory tokens while decoding."""
        ...

    def cached_row(self, host: Host) -> int:
        """Numbers that the slots keep of every row of the sequence while decoding."""
        ...

    def idle(self, host: Host) -> int:
        """Parameters of the slots that a row does not pass through."""
        ...


class Experts(Protocol):
    """Question 5: whose weights process a row, as a maker of the layers' weights."""

    @property
    def groups(self) -> tuple[Rows, ...]:
        """Row sets that must be contiguous in storage, because other weights process them."""
        ...

    @property
    def lanes(self) -> tuple[Rows, ...]:
        """Disjoint row sets, each changed by whole layers of its own; () for one lane."""
        ...

    @property
    def looks_ahead(self) -> bool:
        """Whether, outside of training, the weights of a row depend on later rows."""
        ...

    def weights(self, host: Host) -> Weights: ...

    def idle(self, host: Host, modality: Modality) -> int:
        """Parameters of the stack that a row of this modality does not pass through."""
        ...

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        """Multiply-adds of one layer, of all its lanes."""
        ...


class FeedForwards(Protocol):
    """A feed-forward for blocks that fill slots; what it makes is called as `module(x, reading)`,
    x `[batch, token, width]` before any norm and `reading` of exactly those rows.
    """

    def build(self, width: int) -> nn.Module: ...

    def work(self, rows: int, width: int) -> Sequence[Work]:
        """Multiply-adds of so many rows."""
        ...

    def idle(self, width: int) -> int:
        """Parameters that a row does not pass through."""
        ...


class Compression(Protocol):
    """Question 6. `build(width)`, of the width of what is kept, gives a module whose
    `keep(features, losses)` gives fewer features.
    """

    @property
    def of_tokens(self) -> bool:
        """True when it keeps connected tokens, on the grid that the connector gives them; False
        when it keeps features, which are connected afterwards.
        """
        ...

    def count(self, tokens: int) -> int: ...

    def build(self, width: int) -> nn.Module | None: ...

    def work(self, tokens: int, width: int) -> Sequence[Work]: ...


class Head(Protocol):
    """Question 7. `build` gives a module whose `emit` maps hidden states to scores, and where
    pictures are drawn, `enter` latent rows to host rows and `velocity` hidden states to velocities.
    """

    @property
    def latent(self) -> Latent | None:
        """What a drawn picture is made of; None where nothing draws."""
        ...

    @property
    def context(self) -> Context:
        """Which pictures of a prompt enter as clean latents."""
        ...

    def latent_work(self, host: Host) -> Sequence[Work]:
        """Multiply-adds of a picture's rows on their way in and out, for one step."""
        ...

    @property
    def pointers(self) -> int:
        """Classes beyond the host's words that name image rows (`chiasm.pointing`)."""
        ...

    def pointing_work(self, host: Host, rows: int, tokens: int) -> Sequence[Work]:
        """Multiply-adds of `rows` rows that score `tokens` image rows."""
        ...

    def pointed(self, host: Host) -> int:
        """Numbers that are kept of an image row for pointing at it."""
        ...

    def build(self, host: Host, embeddings: nn.Embedding) -> nn.Module: ...

    def work(self, host: Host, rows: int) -> Sequence[Work]: ...


class Objective(Protocol):
    """Question 8, its pure half: `judge(scores, targets)` gives a scalar loss."""

    def judge(self, scores: Any, targets: Any) -> Any: ...


class Positions(Protocol):
    """Part of question 4: the rotary position of every row."""

    @property
    def axes(self) -> int:
        """Positions a row has."""
        ...

    def number(self, table: TokenTable) -> TokenTable:
        """The table with its positions; it comes numbered in reading order, one axis."""
        ...

    def taught(self, table: TokenTable) -> TokenTable:
        """A numbered table as one step of training sees it: the same, unless positions are drawn.
        Draws come from torch's generator of the CPU, as those of `Model.losses` do.
        """
        ...
