"""Pictures drawn by a checkpoint, from words and perhaps from pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from chiasm.data.collate import Collator
from chiasm.data.example import Example, Picture, Turn
from chiasm.data.latents import to_image
from chiasm.data.media import read_image
from chiasm.decoding import Drawing, Prompts, draw
from chiasm.errors import Misuse
from chiasm.hub import Checkpoint, open_checkpoint
from chiasm.stream import Inputs


@dataclass(frozen=True)
class Artist:
    """A checkpoint ready to draw."""

    checkpoint: Checkpoint
    collator: Collator

    @classmethod
    def open(cls, name: str | Path) -> "Artist":
        """Open a chiasm folder of a system that draws.

        Raises Misuse for one that does not.
        """
        checkpoint = open_checkpoint(name)
        checkpoint.model.eval()
        if checkpoint.collator.answers.head.latent is None:
            raise Misuse(
                f"{name}: {checkpoint.slug or 'this model'} draws no pictures; "
                f"train a system with a flow, such as bagel"
            )
        return cls(checkpoint, checkpoint.collator)

    def pictures(
        self, prompt: str, images: Sequence[str] = (), *, count: int = 1, how: Drawing
    ) -> list[Image.Image]:
        """`count` pictures of one prompt, from noise of their own.

        Raises:
            ChiasmError: an image that cannot be read, or a latent that needs an autoencoder.
        """
        if count < 1:
            raise Misuse(f"cannot draw {count} pictures; ask for at least 1")
        shown = tuple(read_image(source) for source in images)
        return self.of_prompts([(prompt, shown)] * count, how=how)

    def of_prompts(
        self, prompts: Sequence[tuple[str, tuple[Picture, ...]]], *, how: Drawing
    ) -> list[Image.Image]:
        """A picture for each prompt and the images it shows."""
        answers = self.collator.answers
        latent = answers.head.latent
        assert latent is not None
        without = [("", images) for _, images in prompts]
        blind = [(said, ()) for said, _ in prompts]
        rows = draw(
            self.checkpoint.model,
            Prompts(
                full=self._inputs(prompts),
                no_text=self._inputs(without) if how.guidance.text != 1.0 else None,
                no_images=self._inputs(blind) if how.guidance.image != 1.0 else None,
            ),
            answers.teaching.objective.flow.direction,
            how,
        )
        return [to_image(picture, latent) for picture in rows]

    def _inputs(self, prompts: Sequence[tuple[str, tuple[Picture, ...]]]) -> Inputs:
        """Prompts that end in a draft, whose values are still to come."""
        latent = self.collator.answers.head.latent
        assert latent is not None
        blank = Image.new("RGB", (latent.width, latent.height))
        examples = [
            Example(f"picture {number}", images, (Turn(said, picture=blank),))
            for number, (said, images) in enumerate(prompts)
        ]
        inputs = self.collator.batch(examples, teach=True)
        return replace(inputs, labels=None).to(self.checkpoint.model.device)
