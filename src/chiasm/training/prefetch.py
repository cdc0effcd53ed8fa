"""What each step learns from, read and prepared ahead of it by one background thread."""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from chiasm.data import Dataset, Example
from chiasm.data.balance import Balance
from chiasm.data.order import Order
from chiasm.data.unprompted import Unprompted
from chiasm.drawing import draft_rows
from chiasm.errors import ChiasmError
from chiasm.stream import Inputs


class Collates(Protocol):
    """Makes inputs of examples (`chiasm.data.collate.Collator`)."""

    def batch(self, examples: Sequence[Example], *, teach: bool) -> Inputs: ...


@dataclass(frozen=True, kw_only=True)
class Window:
    """Everything one step learns from, in one piece or several whose gradients add up."""

    epoch: int
    ids: tuple[str, ...]
    pieces: tuple[Inputs, ...]
    labels: int
    """Taught ids of all pieces: what the step's loss is divided by."""
    drafts: int
    """Rows of drafts of all pieces: what the loss of drawn pictures is divided by."""
    tokens: int
    """Rows that are not padding."""
    images: int


def windows(
    dataset: Dataset,
    collator: Collates,
    order: Order,
    *,
    start: int,
    batch: int,
    accumulate: int,
    balance: Balance | None = None,
    unprompted: Unprompted | None = None,
) -> Iterator[Window]:
    """The windows of step `start` and every one after it, without end.

    A step's `batch` examples are dealt to `accumulate` pieces of (nearly) equal numbers; `balance`
    says which of their questions are taught, `unprompted` which are left out. Raises
    ChiasmError when a window teaches nothing.
    """
    for epoch, indices in order.batches(start, batch):
        examples = [dataset[index] for index in indices]
        if balance is not None:
            examples = [balance.choose(example, epoch) for example in examples]
        if unprompted is not None:
            examples = [unprompted.choose(example, epoch) for example in examples]
        pieces = tuple(collator.batch(part, teach=True) for part in _deal(examples, accumulate))
        ids = tuple(example.id for example in examples)
        labels = sum(_labels(piece) for piece in pieces)
        drafts = sum(_drafts(piece) for piece in pieces)
        if labels + drafts == 0:
            raise ChiasmError(f"no answer to learn from in the samples {listed(ids)}; add answers")
        yield Window(
            epoch=epoch,
            ids=ids,
            pieces=tuple(piece for piece in pieces if _labels(piece) + _drafts(piece)),
            labels=labels,
            drafts=drafts,
            tokens=sum(int(piece.table.valid.sum()) for piece in pieces),
            images=sum(0 if piece.images is None else len(piece.images) for piece in pieces),
        )


def listed(ids: Sequence[str], most: int = 16) -> str:
    """Sample ids for a message, the rest counted."""
    shown = ", ".join(ids[:most])
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"


def _deal(examples: list[Example], parts: int) -> Iterator[list[Example]]:
    size, longer = divmod(len(examples), parts)
    start = 0
    for part in range(parts):
        end = start + size + (part < longer)
        if end > start:
            yield examples[start:end]
        start = end


def _labels(inputs: Inputs) -> int:
    return 0 if inputs.labels is None else int((inputs.labels >= 0).sum())


def _drafts(inputs: Inputs) -> int:
    return int(draft_rows(inputs.table).sum())


class Ahead:
    """Iterates over `source` in a background thread, at most `depth` windows ahead.

    An exception of the source is raised again where its window would have come. A context: the
    thread ends on leaving.
    """

    def __init__(self, source: Iterator[Window], depth: int = 4) -> None:
        self._source = source
        self._ready: queue.Queue[Window | BaseException] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="chiasm-prefetch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def __next__(self) -> Window:
        found = self._ready.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _fill(self) -> None:
        try:
            for window in self._source:
                if not self._put(window):
                    return
        except BaseException as error:
            self._put(error)

    def _put(self, found: Window | BaseException) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put(found, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
