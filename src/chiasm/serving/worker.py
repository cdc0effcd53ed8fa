"""The model's one thread, and the bounded line of requests before it."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from chiasm.serving.refusal import Refused

T = TypeVar("T")


@dataclass
class _End:
    """The last thing of a stream; what went wrong, if anything did."""

    error: BaseException | None = None


class Worker:
    """Runs one piece of work at a time, in the order of asking, and refuses what would wait behind
    more than `limit`.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._lock = threading.Lock()
        self._held = 0
        self._usual = 1.0

    @property
    def held(self) -> int:
        """Requests that wait or are worked on."""
        return self._held

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Queue work from any thread.

        Raises:
            Refused: the line is full (429, with the seconds after which to come back).
        """
        with self._lock:
            if self._held >= self.limit:
                wait = max(1, math.ceil(self._usual * self._held))
                raise Refused(
                    429,
                    f"{self._held} requests are waiting already; come back in {wait} s",
                    headers={"Retry-After": str(wait)},
                )
            self._held += 1
        try:
            future = self._pool.submit(self._timed, work)
        except RuntimeError:
            self._release(None)
            raise Refused(503, "the server is shutting down") from None
        future.add_done_callback(self._release)
        return future

    def result(self, work: Callable[[], T]) -> T:
        """Do work and wait for it, from a thread that may wait.

        Raises:
            Refused: the line is full (429), or it took too long (504).
        """
        future = self.submit(work)
        try:
            return future.result(self.seconds)
        except TimeoutError:
            future.cancel()
            raise self._late() from None

    async def run(self, work: Callable[[], T]) -> T:
        """The same, from the event loop."""
        future = self.submit(work)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError:
            raise self._late() from None

    async def stream(self, make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        """What an iterator yields on the model's thread; leaving early stops it there.

        Raises:
            Refused: the line is full (429), or it took too long (504).
        """
        loop = asyncio.get_running_loop()
        things: asyncio.Queue[Any] = asyncio.Queue()
        left = threading.Event()
        deadline = time.monotonic() + self.seconds

        def tell(thing: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(things.put_nowait, thing)

        def work() -> None:
            try:
                for thing in make():
                    if left.is_set() or time.monotonic() > deadline:
                        break
                    tell(thing)
                tell(_End())
            except BaseException as error:
                tell(_End(error))

        future = self.submit(work)
        try:
            while True:
                try:
                    wait = max(deadline - time.monotonic(), 0.001)
                    thing = await asyncio.wait_for(things.get(), wait)
                except TimeoutError:
                    raise self._late() from None
                if isinstance(thing, _End):
                    if thing.error is not None:
                        raise thing.error
                    if time.monotonic() > deadline:
                        raise self._late()
                    return
                yield thing
        finally:
            left.set()
            future.cancel()

    async def gather(self, make: Callable[[], Iterator[T]]) -> list[T]:
        """All that an iterator yields."""
        async with aclosing(self.stream(make)) as things:  # type: ignore[type-var]
            return [thing async for thing in things]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, work: Callable[[], T]) -> T:
        started = time.monotonic()
        try:
            return work()
        finally:
            self._usual += 0.2 * (time.monotonic() - started - self._usual)

    def _release(self, _: "Future[Any] | None") -> None:
        with self._lock:
            self._held -= 1

    def _late(self) -> Refused:
        return Refused(504, f"not answered within {self.seconds:g} s; ask for less, or later")
