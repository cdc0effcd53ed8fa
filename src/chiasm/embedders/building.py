"""From an embedder's answers to its module, with fresh or packaged weights."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import PreTrainedTokenizerBase

from chiasm.data.tokenizer import fit_tokenizer
from chiasm.embedders.contents import Content, content_of
from chiasm.embedders.inverting import inverted
from chiasm.embedders.model import EmbedderModel, Given, given
from chiasm.embedders.stages.tower import Reader, Tower
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Item, Role
from chiasm.retrieval.embedding import Embedding, joined
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderAnswers, EmbedderSystem, embedder_system

CHUNK = 64
"""Items that are embedded at a time."""


def build(
    what: EmbedderSystem | EmbedderAnswers | str,
    scale: Scale | str = Scale.NANO,
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
    words: Mapping[str, int] | None = None,
) -> EmbedderModel:
    """The module of an embedder (a value or a slug) at a scale, or of bare answers.

    Fresh weights are drawn from `seed`; `device="meta"` allocates nothing. `words` are sizes of
    fitted tokenizers, by tower.
    """
    chosen = embedder_system(what) if isinstance(what, str) else what
    answers = chosen.at(scale) if isinstance(chosen, EmbedderSystem) else chosen
    if torch.device(device).type != "meta":
        torch.manual_seed(seed)
    with torch.device(device):
        return EmbedderModel(answers, words or {})


@dataclass(frozen=True)
class BuiltEmbedder:
    """A module and the tokenizers it reads with: an `Embedder` of the library."""

    model: EmbedderModel
    tokenizers: Mapping[str, PreTrainedTokenizerBase | None]
    """By tower; None for one that reads no words."""

    @cached_property
    def readers(self) -> Mapping[str, Reader]:
        towers: tuple[Tower, ...] = self.model.answers.encode
        return {t.name: t.encoder.reader(self.tokenizers[t.name]) for t in towers}

    def given(self, contents: Sequence[Content]) -> Given:
        """The contents as the module takes them, on its device."""
        return given(contents, self.model.answers.encode, self.readers).to(self.model.device)

    def embed_contents(self, contents: Sequence[Content]) -> Embedding:
        """One embedding a content, a few at a time; queries are inverted where their task says."""
        return inverted(self, contents, self._own(contents), CHUNK)

    @torch.inference_mode()
    def _own(self, contents: Sequence[Content]) -> Embedding:
        if not contents:
            raise Misuse("no item to embed; give at least 1")
        taught = self.model.training
        self.model.eval()
        try:
            parts = [
                self.model(self.given(contents[first : first + CHUNK])).embedding
                for first in range(0, len(contents), CHUNK)
            ]
        finally:
            self.model.train(taught)
        return joined(parts)

    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Embedding:
        """One embedding an item, all of one kind, in their order.

        Raises:
            Misuse: no item, a modality that it does not take, or an unknown task.
        """
        names = self.model.answers.batches.task_names
        if task and task not in names:
            known = ", ".join(names)
            raise Misuse(f"task {task!r} is unknown; this embedder has {known or 'none'}")
        number = names.index(task) if task else 0
        return self.embed_contents([content_of(i, role, instruction, number) for i in items])


def fitted(
    answers: EmbedderAnswers, texts: Iterable[str]
) -> Mapping[str, PreTrainedTokenizerBase | None]:
    """Each tower's tokenizer: its own, or one fitted on the texts; towers of one size share it."""
    texts = list(texts)
    made: dict[int, PreTrainedTokenizerBase] = {}
    found: dict[str, PreTrainedTokenizerBase | None] = {}
    for tower in answers.encode:
        size = tower.encoder.vocabulary
        if size is None:
            found[tower.name] = tower.encoder.tokenizer()
            continue
        if size not in made:
            made[size] = fit_tokenizer(texts, size)
        found[tower.name] = made[size]
    return found


def prepare(
    answers: EmbedderAnswers, texts: Iterable[str], seed: int, device: torch.device | str = "cpu"
) -> BuiltEmbedder:
    """An embedder before its first step, its tokenizers fitted on the texts."""
    tokenizers = fitted(answers, texts)
    words = {
        tower.name: len(tokenizer)
        for tower in answers.encode
        if tower.encoder.vocabulary is not None
        and (tokenizer := tokenizers[tower.name]) is not None
    }
    return BuiltEmbedder(build(answers, seed=seed, device=device, words=words), tokenizers)
