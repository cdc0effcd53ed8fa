"""The embedder that needs no hub: words and pictures in MiniLM's space."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from chiasm import weights
from chiasm.embedders.projector import Projector
from chiasm.encoders import EfficientNetLite0
from chiasm.errors import ChiasmError, Misuse
from chiasm.lineages.vision_language import LITE
from chiasm.retrieval.embedder import Item, Role
from chiasm.retrieval.embedding import Single
from chiasm.retrieval.sentence_models import SentenceModel

WIDTH = 384
"""Of MiniLM's sentence vectors."""
SIDE = 224
PROJECTOR = Path(__file__).with_name("house.safetensors")


@dataclass(frozen=True)
class House:
    """MiniLM's vector of the words, and of a picture the projected features of EfficientNet-Lite0.

    Both encoders are as they were; the projector was taught on stamps, clip art, emoji and
    ImageNet's class vectors (`benchmarks/house_embedder.py`). Words alone give MiniLM's own
    vectors. Of an item with both, the vector is u + v of the two unit vectors.
    """

    words: SentenceModel
    encoder: nn.Module
    projector: Projector

    @classmethod
    def open(cls) -> "House":
        """The packaged encoders, and the projector that comes with chiasm.

        Raises:
            ChiasmError: an encoder is not in the cache.
            Misuse: sentence-transformers is not installed.
        """
        words = SentenceModel.open(weights.path("minilm-l6"))
        return cls(words, picture_encoder(), read_projector(PROJECTOR))

    @torch.inference_mode()
    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Single:
        """One vector an item, 384 wide.

        Raises:
            Misuse: no item, or a task: it has none.
        """
        if not items:
            raise Misuse("no item to embed; give at least 1")
        vectors = torch.zeros(len(items), WIDTH)
        said = [at for at, item in enumerate(items) if item.text.strip()]
        if said:
            texts = [Item(text=items[at].text) for at in said]
            found = self.words.embed(texts, role=role, instruction=instruction, task=task)
            vectors[said] += F.normalize(found.vectors, dim=-1)
        elif task:
            raise Misuse(f"task {task!r} is unknown: this model has no tasks; leave it out")
        seen = [at for at, item in enumerate(items) if item.image is not None]
        for start in range(0, len(seen), BATCH):
            own = seen[start : start + BATCH]
            pictures = [picture for at in own if (picture := items[at].image) is not None]
            projected = self.projector(features(self.encoder, pictures))
            vectors[own] += F.normalize(projected, dim=-1)
        return Single(vectors=F.normalize(vectors, dim=-1))

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the texts are together, as MiniLM reads them."""
        return self.words.tokens(texts)


BATCH = 8
"""Pictures encoded together; larger batches fall out of a CPU's cache."""


def picture_encoder() -> nn.Module:
    return EfficientNetLite0(level="head").build().eval()


@torch.inference_mode()
def features(encoder: nn.Module, pictures: Sequence[Image.Image]) -> Float[Tensor, "picture width"]:
    """The mean over places of the 1,280 channels before ImageNet's classes."""
    pixels = torch.stack([LITE.prepare(picture, SIDE) for picture in pictures])
    return encoder(pixels).tokens.mean(1)


def read_projector(path: Path) -> Projector:
    """A projector of `benchmarks/house_embedder.py`, its sizes read from its tensors.

    Raises:
        ChiasmError: the file is missing, or holds something else.
    """
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        hidden, width = state["rise.weight"].shape
        projector = Projector(width, state["line.weight"].shape[0], hidden)
        projector.load_state_dict(state)
    except (OSError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{path}: no projector ({reason}); install chiasm again") from None
    return projector.eval()
