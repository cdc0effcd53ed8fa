"""A checkpoint folder as a reader: one of chiasm's own, or transformers'."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.answering.ask import Asker
from chiasm.answering.readers.reader import Said
from chiasm.answering.requests import Request
from chiasm.weights.archive import sha256_of


@dataclass(frozen=True)
class CheckpointReader:
    """The likeliest words, a token at a time."""

    asker: Asker
    name: str
    """The folder's name and the start of its weights' SHA-256."""
    max_new: int = 96

    @classmethod
    def open(cls, name: str, *, max_new: int = 96) -> "CheckpointReader":
        """Raises ChiasmError as `open_checkpoint` does."""
        asker = Asker.open(name)
        folder = asker.checkpoint.folder
        digests = "+".join(sha256_of(file)[:12] for file in sorted(folder.glob("*.safetensors")))
        return cls(asker, f"{folder.name} {digests}, {max_new} tokens at most", max_new)

    def ask(self, request: Request, pictures: Sequence[bytes]) -> Said:
        shown = [f"data:;base64,{base64.b64encode(one).decode()}" for one in pictures]
        answer = self.asker.answer(request.prompt(), shown, max_new=self.max_new)
        return Said(text=answer.text)
