"""GradCache (arXiv 2101.06983): contrastive batches larger than memory holds activations for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor

X = TypeVar("X")


def cached_gradients(
    encode: Sequence[Callable[[X], Tensor]],
    chunks: Sequence[Sequence[X]],
    loss: Callable[..., Tensor],
) -> Tensor:
    """Adds to `.grad` what `loss(*embeddings).backward()` would, one chunk's activations at a time.

    `encode[s]` embeds a chunk of side s, `chunks[s]` are its chunks, and `loss` takes the joined
    embeddings of every side. Each chunk is embedded twice: without a graph, and again, with the
    generator as it was, to receive the gradient of its embeddings. Gives the loss, detached.

    Parameters that `loss` itself uses (a temperature) receive their gradients as usual.
    """
    states: list[list[AbstractContextManager[None]]] = []
    joined: list[Tensor] = []
    for one, own in zip(encode, chunks, strict=True):
        states.append([])
        parts: list[Tensor] = []
        for chunk in own:
            states[-1].append(_replayed())
            with torch.no_grad():
                parts.append(one(chunk))
        joined.append(torch.cat(parts).requires_grad_())
    found = loss(*joined)
    found.backward()
    for one, own, replays, whole in zip(encode, chunks, states, joined, strict=True):
        if whole.grad is None:
            continue
        rest = whole.grad
        for chunk, replay in zip(own, replays, strict=True):
            with replay:
                part = one(chunk)
            gradient, rest = rest[: len(part)], rest[len(part) :]
            if part.requires_grad:
                part.backward(gradient)
    return found.detach()


def _replayed() -> AbstractContextManager[None]:
    """Later: the random numbers that are drawn from here on, once more."""
    return _Replay(torch.get_rng_state(), _device_state())


def _device_state() -> Tensor | None:
    return torch.cuda.get_rng_state() if torch.cuda.is_available() else None


class _Replay(AbstractContextManager[None]):
    def __init__(self, cpu: Tensor, device: Tensor | None) -> None:
        self._cpu, self._device = cpu, device
        self._fork: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> None:
        self._fork = torch.random.fork_rng(devices=None if self._device is not None else [])
        self._fork.__enter__()
        torch.set_rng_state(self._cpu)
        if self._device is not None:
            torch.cuda.set_rng_state(self._device)

    def __exit__(self, *failure: object) -> None:
        self._fork.__exit__(*failure)  # type: ignore[arg-type]
