"""What a model that answers questions would say next, as chances of a few answers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.data.example import Example, Turn
from chiasm.data.media import read_image
from chiasm.errors import ChiasmError
from chiasm.retrieval.unit import Unit
from chiasm.stream.table import take

if TYPE_CHECKING:
    from chiasm.answering import Asker


@dataclass(frozen=True)
class Judge:
    """A checkpoint with its own chat template."""

    asker: "Asker"

    @classmethod
    def open(cls, folder: str | Path) -> "Judge":
        """A chiasm or transformers folder, or an alias.

        Raises:
            ChiasmError: it holds no model that answers.
        """
        from chiasm.answering import Asker

        return cls(Asker.open(folder))

    @property
    def looks(self) -> bool:
        """Whether it is shown pictures."""
        return bool(self.asker.collator.answers.views.plan((1, 1)))

    @torch.inference_mode()
    def chances(
        self, question: str, units: Sequence[Unit], answers: Sequence[Sequence[str]]
    ) -> Float[Tensor, "answer"]:
        """p(a) = sum over the ways to write a of p(first token | question), over all answers = 1.

        The units' pictures are shown before the question, if the model looks at pictures.

        Raises:
            ChiasmError: two answers begin with one token, or the question is too long.
        """
        shown = [unit.picture for unit in units if unit.picture is not None and self.looks]
        images = tuple(read_image(io.BytesIO(picture)) for picture in shown)
        example = Example("question", images, (Turn(question),))
        collator, model = self.asker.collator, self.asker.checkpoint.model
        batch = collator.collate([example], teach=False)
        hidden = model.hidden(batch.inputs.to(model.device))
        last = take(hidden, batch.ends.to(model.device))
        scores = model.scores(last).float().flatten(0, -2)[0]
        ids = [self._first(ways) for ways in answers]
        every = [one for some in ids for one in some]
        if len(set(every)) != len(every):
            raise ChiasmError(f"{list(answers)}: two of them begin alike for this tokenizer")
        return torch.stack([scores[sorted(some)].logsumexp(0) for some in ids]).softmax(0).cpu()

    def _first(self, ways: Sequence[str]) -> set[int]:
        """The first token of each way to write an answer."""
        tokenizer = self.asker.collator.tokenizer
        found = [tokenizer(one, add_special_tokens=False)["input_ids"] for one in ways]
        return {ids[0] for ids in found}
