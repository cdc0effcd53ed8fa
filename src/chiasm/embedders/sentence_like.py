"""Any embedder, called as sentence-transformers' models are: its evaluators and others' run on it.

Embeddings that are more than one vector an item travel as one array: each vector followed by two
numbers, whether it is there and its modality; a distribution as its mean and then its logarithms of
deviations.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Embedder, Item, Role
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single, joined
from chiasm.retrieval.similarity import similarity as of_its_kind

Array = np.ndarray | Tensor
Compares = Callable[[Embedding, Embedding], Tensor]


@dataclass
class SentenceLike:
    """`encode`, `encode_query`, `encode_document`, `similarity`: over an embedder of the library.

    `compares` gives the scores of embeddings; their kind's own similarity if not given.
    """

    embedder: Embedder
    modalities: tuple[str, ...] = ("text", "image")
    compares: Compares = of_its_kind
    similarity_fn_name: str = "similarity"
    model_card_data: Any = field(
        default_factory=lambda: SimpleNamespace(set_evaluation_metrics=lambda *told: None)
    )
    """Where sentence-transformers' evaluators note what they found; a model of ours has no card."""
    _kind: type[Embedding] | None = field(default=None, init=False, repr=False)

    def supports(self, modality: str | tuple[str, ...]) -> bool:
        """Whether it takes items of this modality, or of these together."""
        asked = (modality,) if isinstance(modality, str) else modality
        return all(one in self.modalities for one in asked)

    def encode(self, inputs: Any, *, prompt: str | None = None, **kwargs: Any) -> Array:
        """Documents' embeddings, as an array."""
        return self._encoded(inputs, Role.DOCUMENT, prompt, **kwargs)

    def encode_query(self, inputs: Any, *, prompt: str | None = None, **kwargs: Any) -> Array:
        return self._encoded(inputs, Role.QUERY, prompt, **kwargs)

    def encode_document(self, inputs: Any, *, prompt: str | None = None, **kwargs: Any) -> Array:
        return self._encoded(inputs, Role.DOCUMENT, prompt, **kwargs)

    def similarity(self, embeddings1: Array, embeddings2: Array) -> Float[Tensor, "one other"]:
        """Scores of all pairs."""
        return self.compares(self._opened(embeddings1), self._opened(embeddings2))

    def similarity_pairwise(self, embeddings1: Array, embeddings2: Array) -> Float[Tensor, " pair"]:
        """Scores of the n-th with the n-th."""
        ones, others = torch.as_tensor(embeddings1), torch.as_tensor(embeddings2)
        if len(ones) != len(others):
            raise Misuse(f"{len(ones)} and {len(others)} embeddings make no pairs; give as many")
        each = zip(ones.split(1), others.split(1), strict=True)
        return torch.cat([self.similarity(one, other).flatten() for one, other in each])

    def _encoded(
        self,
        inputs: Any,
        role: Role,
        prompt: str | None,
        *,
        batch_size: int = 32,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        prompt_name: str | None = None,
        show_progress_bar: bool | None = None,
        convert_to_numpy: bool = True,
        **unknown: Any,
    ) -> Array:
        if unknown or prompt_name:
            named = "prompt_name" if prompt_name else next(iter(unknown))
            raise Misuse(f"encode does not know {named!r} here; leave it out, or give prompt=")
        alone = isinstance(inputs, str | Image | dict)
        items = [item_of(one) for one in ([inputs] if alone else inputs)]
        parts: list[Any] = [
            self.embedder.embed(items[at : at + batch_size], role=role, instruction=prompt or "")
            for at in range(0, len(items), batch_size)
        ]
        if not parts:
            raise Misuse("no item to embed; give at least 1")
        found = joined(parts)
        self._kind = type(found)
        if isinstance(found, Single):
            found = found if truncate_dim is None else found.truncated(truncate_dim)
            found = Single(vectors=found.unit()) if normalize_embeddings else found
        elif truncate_dim is not None or normalize_embeddings:
            raise Misuse("truncate_dim and normalize_embeddings are for one vector an item")
        array = packed(found)
        array = array[0] if alone else array
        return array if convert_to_tensor or not convert_to_numpy else array.numpy()

    def _opened(self, array: Array) -> Embedding:
        if self._kind is None:
            raise Misuse("nothing was encoded yet, so what an array holds is unknown; encode first")
        tensor = torch.as_tensor(array)
        bare = tensor.dim() == (2 if self._kind is Multi else 1)
        return unpacked(tensor.unsqueeze(0) if bare else tensor, self._kind)


def item_of(given: str | Image | dict[str, Any]) -> Item:
    """What one item is made of.

    Raises:
        Misuse: neither words, a picture, nor a dictionary of `text` and `image`.
    """
    if isinstance(given, str):
        return Item(text=given)
    if isinstance(given, Image):
        return Item(image=given)
    if isinstance(given, dict) and given.keys() <= {"text", "image"} and given:
        return Item(text=given.get("text") or "", image=given.get("image"))
    raise Misuse(
        f"a {type(given).__name__} cannot be embedded; give words, a picture, or a dictionary of "
        "`text` and `image`"
    )


def packed(of: Embedding) -> Tensor:
    """An embedding as one array."""
    if isinstance(of, Distribution):
        return torch.cat([of.mean, of.log_sigma], -1)
    if isinstance(of, Multi):
        beside = torch.stack([of.valid, of.modality], -1).to(of.vectors.dtype)
        return torch.cat([of.vectors, beside], -1)
    return of.vectors


def unpacked(array: Tensor, kind: type[Embedding]) -> Embedding:
    """The way back."""
    if kind is Distribution:
        mean, log_sigma = array.chunk(2, -1)
        return Distribution(mean=mean, log_sigma=log_sigma)
    if kind is Multi:
        valid, modality = array[..., -2] > 0.5, array[..., -1].round().long()
        return Multi(vectors=array[..., :-2], valid=valid, modality=modality)
    return Single(vectors=array)
