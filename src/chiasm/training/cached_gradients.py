"""GradCache (arXiv 2101.06983): contrastive batches larger than memory holds activations for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from chiasm.training.generators import generators, set_generators

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
    states: list[list[dict[str, Tensor]]] = []
    joined: list[Tensor] = []
    for one, own in zip(encode, chunks, strict=True):
        states.append([])
        parts: list[Tensor] = []
        for chunk in own:
            states[-1].append(generators())
            with torch.no_grad():
                parts.append(one(chunk))
        joined.append(torch.cat(parts).requires_grad_())
    found = loss(*joined)
    found.backward()
    for one, own, drawn, whole in zip(encode, chunks, states, joined, strict=True):
        if whole.grad is None:
            continue
        rest = whole.grad
        for chunk, state in zip(own, drawn, strict=True):
            with _replayed(state):
                part = one(chunk)
            gradient, rest = rest[: len(part)], rest[len(part) :]
            if part.requires_grad:
                part.backward(gradient)
    return found.detach()


@contextmanager
def _replayed(states: dict[str, Tensor]) -> Iterator[None]:
    """The random numbers that were drawn from there on, once more."""
    with torch.random.fork_rng():
        set_generators(states)
        yield
