"""The token ids that a checkpoint gives a meaning."""

from dataclasses import dataclass
from typing import Any

from chiasm.errors import ChiasmError


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """The ids that a checkpoint gives a meaning; None (or ()) where it gives none."""

    image: int | None = None
    bos: int | None = None
    eos: tuple[int, ...] = ()
    pad: int | None = None
    indicators: tuple[int, ...] = ()
    """Marks around images that enter by their own embeddings, beside the image's tokens."""

    def entries(self) -> dict[str, Any]:
        """As a transformers text config holds them."""
        eos = self.eos[0] if len(self.eos) == 1 else list(self.eos) or None
        return {"bos_token_id": self.bos, "eos_token_id": eos, "pad_token_id": self.pad}

    def image_id(self) -> int:
        """The image token's id.

        Raises:
            ChiasmError: the checkpoint gives none.
        """
        if self.image is None:
            raise ChiasmError(
                "the image token's id is unknown; pass a tokenizer that has <image>, or image_token"
            )
        return self.image
