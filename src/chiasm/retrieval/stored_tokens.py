"""A document's many vectors as bytes and back: in 16 bits, 8 bits, or one bit an entry."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from chiasm.errors import Misuse
from chiasm.retrieval.storage import Int8, Plain, Signs, Storage

STORAGES: Mapping[str, Storage] = {
    "float16": Plain(torch.float16),
    "int8": Int8(),
    "signs": Signs(),
}


def storage_named(name: str) -> Storage:
    if name not in STORAGES:
        raise Misuse(f"tokens cannot be stored as {name!r}; choose {', '.join(STORAGES)}")
    return STORAGES[name]


def to_bytes(storage: Storage, vectors: np.ndarray) -> bytes:
    """What the storage writes, vector after vector."""
    written = storage.written(torch.from_numpy(np.ascontiguousarray(vectors, np.float32)))
    rows = [one.contiguous().numpy().view(np.uint8).reshape(len(vectors), -1) for one in written]
    return np.concatenate(rows, 1).tobytes()


def from_bytes(storage: Storage, data: bytes | memoryview, width: int) -> torch.Tensor:
    """float32 `[token, width]`."""
    like = storage.written(torch.zeros(1, width))
    sizes = [one.nbytes for one in like]
    rows = np.frombuffer(data, np.uint8).reshape(-1, sum(sizes))
    ends = np.cumsum(sizes)
    columns = tuple(
        torch.from_numpy(rows[:, end - size : end].copy()).view(one.dtype)
        for one, size, end in zip(like, sizes, ends, strict=True)
    )
    return storage.read(columns, width)


class Decoded(Sequence[torch.Tensor]):
    """Documents read from their bytes one at a time, so that they are never all held twice."""

    def __init__(self, storage: Storage, documents: Sequence[bytes], width: int) -> None:
        self.storage, self.documents, self.width = storage, documents, width

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, at: int) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return from_bytes(self.storage, self.documents[at], self.width)
