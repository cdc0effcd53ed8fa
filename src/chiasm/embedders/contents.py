"""What one embedding is made of: parts in order, each of one modality."""

from dataclasses import dataclass

from chiasm.data.example import Picture
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Item, Role
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class Part:
    """Words, or pictures: one, or the frames of a clip."""

    modality: Modality
    text: str = ""
    pictures: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.text) == bool(self.pictures):
            raise Misuse(
                f"a part of modality {self.modality.name} has {len(self.text)} characters and "
                f"{len(self.pictures)} pictures; give words or pictures"
            )


@dataclass(frozen=True, kw_only=True)
class Content:
    """Parts in order, and how they are to be read."""

    parts: tuple[Part, ...]
    role: Role = Role.DOCUMENT
    instruction: str = ""
    task: int = 0
    """Number of the task, where weights differ by task."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise Misuse("nothing to embed: the content has no part; give words or a picture")

    def only(self, modalities: tuple[Modality, ...]) -> "Content | None":
        """What a tower that takes these modalities reads of it; None where there is nothing."""
        parts = tuple(part for part in self.parts if part.modality in modalities)
        if not parts:
            return None
        if len(parts) == len(self.parts):
            return self
        return Content(parts=parts, role=self.role, instruction=self.instruction, task=self.task)

    @property
    def kind(self) -> int:
        """Which modalities it holds, one bit each (UNITE, arXiv 2505.19650)."""
        return sum(1 << modality for modality in {int(part.modality) for part in self.parts})


def words(text: str, modality: Modality = Modality.TEXT) -> Part:
    return Part(modality=modality, text=text)


def shown(*pictures: Picture, modality: Modality = Modality.IMAGE) -> Part:
    return Part(modality=modality, pictures=pictures)


def content_of(item: Item, role: Role, instruction: str = "", task: int = 0) -> Content:
    """An item of the library as the embedders here read it: its picture first, then its words."""
    parts = []
    if item.image is not None:
        parts.append(shown(item.image))
    if item.text:
        parts.append(words(item.text))
    return Content(parts=tuple(parts), role=role, instruction=instruction, task=task)
