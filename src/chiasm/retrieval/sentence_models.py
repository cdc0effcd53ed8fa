"""sentence-transformers' own models as embedders: one vector an item, or many."""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Item, Role
from chiasm.retrieval.embedding import Multi, Single
from chiasm.stream import Modality

MANY = "MultiVectorEncoder"
"""What sentence-transformers calls models of late interaction, in a folder's configuration too."""


@dataclass(frozen=True)
class SentenceModel:
    """A `SentenceTransformer` (`Single`) or `MultiVectorEncoder` (`Multi`), for inference."""

    model: Any
    many: bool
    """Whether an item becomes many vectors."""
    widths: tuple[int, ...] = ()
    """How many first entries are useful by themselves, where nested training says so."""

    @classmethod
    def open(cls, folder: Path, *, device: str = "cpu") -> "SentenceModel":
        """The model of a folder, whichever of the two it was saved as.

        Raises:
            Misuse: sentence-transformers is not installed.
        """
        if importlib.util.find_spec("sentence_transformers") is None:
            raise Misuse(
                "embedders need sentence-transformers, which is not installed: "
                "pip install 'chiasm[search]'"
            )
        import sentence_transformers

        config = folder / "config_sentence_transformers.json"
        saved = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
        many = saved.get("model_type") == MANY
        kind = getattr(sentence_transformers, MANY if many else "SentenceTransformer")
        return cls(kind(str(folder), device=device), many, _nested(folder))

    @torch.inference_mode()
    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Single | Multi:
        """As `encode_query` or `encode_document` does, with the folder's own prompts.

        An `instruction` takes the place of the folder's prompt for the role. Of words and a picture
        for a model that takes them only apart, the vector is u + v of the two unit vectors.

        Raises:
            Misuse: no item, a modality that the model does not take, or a task: it has none.
        """
        if task:
            raise Misuse(f"task {task!r} is unknown: this model has no tasks; leave it out")
        if not items:
            raise Misuse("no item to embed; give at least 1")
        for one in items:
            if not self.model.supports(_modality(one)):
                if not self.many and self.model.supports("text") and self.model.supports("image"):
                    return self._sums(items, role, instruction)
                known = ", ".join(map(str, self.model.modalities))
                raise Misuse(f"{one.modality} given to a model that takes {known}")
        encode = getattr(self.model, f"encode_{role}")
        told: dict[str, Any] = {} if self.many else {"convert_to_tensor": True}
        if instruction:
            told["prompt"] = instruction
        found: dict[int, Any] = {}
        # The library takes one modality at a time.
        for kind in dict.fromkeys(one.modality for one in items):
            places = [at for at, one in enumerate(items) if one.modality == kind]
            given = [_given(items[at]) for at in places]
            vectors = encode(given, show_progress_bar=False, **told)
            found.update(zip(places, vectors, strict=True))
        ordered = [found[at].float() for at in range(len(items))]
        if self.many:
            return Multi.of(ordered, int(Modality.TEXT))
        return Single(vectors=torch.stack(ordered))

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the texts are together, as they are read: cut, with their marks."""
        if not texts:
            return 0
        tokenizer = getattr(self.model.tokenizer, "tokenizer", self.model.tokenizer)
        return sum(len(ids) for ids in tokenizer(list(texts), truncation=True)["input_ids"])

    def _sums(self, items: Sequence[Item], role: Role, instruction: str) -> Single:
        """Words and pictures embedded apart, and what belongs to one item added."""
        parts = [
            (at, part)
            for at, item in enumerate(items)
            for part in (
                Item(text=item.text) if item.text.strip() else None,
                None if item.image is None else Item(image=item.image),
            )
            if part is not None
        ]
        found = self.embed([part for _, part in parts], role=role, instruction=instruction)
        vectors = found.unit()
        owners = torch.tensor([at for at, _ in parts], device=vectors.device)
        return Single(
            vectors=vectors.new_zeros(len(items), vectors.shape[1]).index_add(0, owners, vectors)
        )


def _nested(folder: Path) -> tuple[int, ...]:
    """`matryoshka_dimensions` of the folder's configuration, as vLLM reads them too."""
    config = folder / "config.json"
    saved = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return tuple(sorted(saved.get("matryoshka_dimensions") or ()))


def _modality(item: Item) -> Any:
    if item.image is None:
        return "text"
    return ("image", "text") if item.text else "image"


def _given(item: Item) -> Any:
    if item.image is None:
        return item.text
    return {"text": item.text, "image": item.image} if item.text else item.image
