"""What frozen towers saw, kept: a content is encoded once, however often it is taught."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from chiasm.embedders.building import CHUNK, BuiltEmbedder
from chiasm.embedders.contents import Content
from chiasm.embedders.model import Given
from chiasm.embedders.stages.tower import Tower
from chiasm.embedders.states import States

MOST_BYTES = 2**30
"""Beyond which nothing more is kept."""


@dataclass
class Kept:
    """States of frozen towers, by tower and content; equal to encoding anew.

    A tower is frozen where none of its encoder's parameters learns: it then runs in evaluation
    mode, so that what it sees of a content never changes.
    """

    embedder: BuiltEmbedder
    held: dict[tuple[str, Content], States] = field(default_factory=dict)
    size: int = 0

    def given(self, contents: Sequence[Content]) -> Given:
        """As `BuiltEmbedder.given`, with what frozen towers see in place of what they read."""
        model = self.embedder.model
        towers: tuple[Tower, ...] = model.answers.encode
        frozen = {
            tower.name
            for tower in towers
            if not any(p.requires_grad for p in model.encoders[tower.name].parameters())
        }
        if not frozen:
            return self.embedder.given(contents)
        inputs = {}
        for tower in towers:
            cut = [content.only(tower.reads) for content in contents]
            at = [number for number, one in enumerate(cut) if one is not None]
            own = [one for one in cut if one is not None]
            if not own:
                continue
            if tower.name in frozen:
                read = self._states(tower, own)
            else:
                read = self.embedder.readers[tower.name].read(own).to(model.device)
            inputs[tower.name] = torch.tensor(at, device=model.device), read
        return Given(len(contents), inputs)

    @torch.no_grad()
    def _states(self, tower: Tower, contents: Sequence[Content]) -> States:
        unseen = [c for c in dict.fromkeys(contents) if (tower.name, c) not in self.held]
        new: dict[Content, States] = {}
        for first in range(0, len(unseen), CHUNK):
            some = unseen[first : first + CHUNK]
            read = self.embedder.readers[tower.name].read(some).to(self.embedder.model.device)
            states = self.embedder.model.encoders[tower.name](read)
            new |= {content: _one(states, number) for number, content in enumerate(some)}
        for content, states in new.items():
            bytes_of = states.tokens.nbytes + sum(layer.nbytes for layer in states.layers)
            if self.size + bytes_of <= MOST_BYTES:
                self.held[tower.name, content] = states
                self.size += bytes_of
        return _stacked([new.get(c) or self.held[tower.name, c] for c in contents])


def _one(states: States, item: int) -> States:
    """The real tokens of one item."""
    real = states.valid[item]

    def cut(column: Tensor) -> Tensor:
        return column[item][real].clone()

    return replace(
        states,
        tokens=cut(states.tokens),
        valid=cut(states.valid),
        modality=cut(states.modality),
        told=cut(states.told),
        layers=tuple(map(cut, states.layers)),
    )


def _stacked(items: Sequence[States]) -> States:
    """Items one by one, padded to the longest."""

    def together(columns: Sequence[Tensor]) -> Tensor:
        return pad_sequence(list(columns), batch_first=True)

    return States(
        tokens=together([one.tokens for one in items]),
        valid=together([one.valid for one in items]),
        modality=together([one.modality for one in items]),
        told=together([one.told for one in items]),
        layers=tuple(
            together([one.layers[at] for one in items]) for at in range(len(items[0].layers))
        ),
    )
