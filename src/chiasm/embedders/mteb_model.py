"""Any embedder as a model of mteb 2: `mteb.evaluate(MtebModel.of(embedder), tasks)`."""

from dataclasses import dataclass
from typing import Any

from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.sentence_like import Array, SentenceLike
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Embedder
from chiasm.retrieval.embedding import Embedding
from chiasm.stream import Modality

REVISION = "local"


@dataclass
class MtebModel:
    """mteb's `EncoderProtocol` over `SentenceLike`: texts, pictures, or both of an item."""

    model: SentenceLike
    name: str
    width: int | None = None
    parameters: int | None = None

    @classmethod
    def of(cls, embedder: BuiltEmbedder, name: str = "chiasm/embedder") -> "MtebModel":
        """An embedder of ours, compared as its system says."""
        reads = {one for tower in embedder.model.answers.encode for one in tower.reads}
        kinds = {"text": Modality.TEXT, "image": Modality.IMAGE}

        def compares(queries: Embedding, documents: Embedding) -> Any:
            return embedder.model.scores(queries, documents)

        return cls(
            model=SentenceLike(
                embedder,
                modalities=tuple(name for name, kind in kinds.items() if kind in reads),
                compares=compares,
            ),
            name=name,
            parameters=sum(p.numel() for p in embedder.model.parameters()),
        )

    @classmethod
    def around(cls, embedder: Embedder, name: str, modalities: tuple[str, ...]) -> "MtebModel":
        """Any embedder of the library, compared as its embeddings' kind is."""
        return cls(model=SentenceLike(embedder, modalities=modalities), name=name)

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> Array:
        """Embeddings of mteb's batches, as one array.

        Raises:
            Misuse: an input without words and without a picture.
        """
        given: list[Any] = []
        for batch in inputs:
            texts, pictures = batch.get("text"), batch.get("image")
            if texts is None and pictures is None:
                raise Misuse(f"{', '.join(batch)} given to an embedder of words and pictures")
            count = len(texts if texts is not None else pictures)
            for at in range(count):
                text = None if texts is None else texts[at]
                picture = None if pictures is None else pictures[at]
                given.append({"text": text or "", "image": picture})
        asks = prompt_type is not None and prompt_type.value == "query"
        encode = self.model.encode_query if asks else self.model.encode_document
        return encode(given, batch_size=batch_size, convert_to_tensor=True)

    def similarity(self, embeddings1: Array, embeddings2: Array) -> Array:
        return self.model.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Array, embeddings2: Array) -> Array:
        return self.model.similarity_pairwise(embeddings1, embeddings2)

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb writes beside its results."""
        from mteb.models import ModelMeta

        empty = ModelMeta.create_empty()
        return empty.model_copy(
            update={
                "name": self.name,
                "revision": REVISION,
                "n_parameters": self.parameters,
                "embed_dim": self.width,
                "modalities": list(self.model.modalities),
                "framework": ["PyTorch"],
                "open_weights": True,
            }
        )
