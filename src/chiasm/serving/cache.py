"""What was computed from media, kept by content: equal bytes, equally treated, are one entry."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def key(data: bytes, treatment: str) -> str:
    """SHA-256 over the treatment and the bytes; a name or an address is never part of it."""
    told = treatment.encode()
    return hashlib.sha256(len(told).to_bytes(8, "big") + told + data).hexdigest()


class ContentCache:
    """Values by content, the least recently used dropped beyond `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self.hits, self.misses = 0, 0
        self._entries: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, data: bytes, treatment: str, make: Callable[[], T], size: Callable[[T], int]
    ) -> T:
        """The value of these bytes under this treatment, made if it is not there."""
        name = key(data, treatment)
        with self._lock:
            if name in self._entries:
                self._entries.move_to_end(name)
                self.hits += 1
                return self._entries[name][0]  # type: ignore[return-value]
            self.misses += 1
        value = make()
        self._keep(name, value, size(value))
        return value

    def _keep(self, name: str, value: object, size: int) -> None:
        if size > self.limit:
            return
        with self._lock:
            if name in self._entries:
                return
            self._entries[name] = value, size
            self.held += size
            while self.held > self.limit:
                _, (_, dropped) = self._entries.popitem(last=False)
                self.held -= dropped
