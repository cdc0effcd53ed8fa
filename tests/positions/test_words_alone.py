"""Words count on as if the picture's own row were not there."""

from dataclasses import replace

import pytest
import torch

from chiasm.positions import WordsAlone
from chiasm.stream import Modality, TokenTable

T, I, P = int(Modality.TEXT), int(Modality.IMAGE), int(Modality.LEARNED)


def table(modality: list[int], item: list[int]) -> TokenTable:
    rows = TokenTable.text(torch.ones(1, len(modality), dtype=torch.bool))
    return replace(rows, modality=torch.tensor([modality]), item=torch.tensor([item]))


def test_two_pictures_and_their_prompts() -> None:
    rows = table([T, I, I, I, T, I, I, I, T], [0, 1, 1, 1, 1, 2, 2, 2, 2])
    found = WordsAlone(learned=2).number(rows)
    assert found.modality[0].tolist() == [T, I, P, P, T, I, P, P, T]
    assert found.position[0, :, 0].tolist() == [0, 0, 1, 2, 3, 0, 4, 5, 6]
    again = WordsAlone(learned=2).number(found)
    assert torch.equal(again.position, found.position)
    assert torch.equal(again.modality, found.modality)


@pytest.mark.parametrize("picture", [0, 2])
def test_text_is_numbered_as_it_is_alone(picture: int) -> None:
    kinds, items = [T] * 6, [0] * 6
    kinds[picture:picture] = [I]
    items = [0] * picture + [1] * (7 - picture)
    found = WordsAlone(learned=0).number(table(kinds, items))
    words = found.modality[0] == T
    assert found.position[0, words, 0].tolist() == list(range(6))
    assert float(found.position[0, picture, 0]) == 0


def test_packed_segments_go_on_from_their_prefix() -> None:
    """A picture in the prefix, another in the first segment."""
    rows = table([I, T, T, I, T, T, T], [1, 1, 1, 2, 2, 1, 1])
    order = torch.tensor([[0, 1, 2, 3, 4, 2, 3]])
    rows = replace(rows, segment=torch.tensor([[0, 0, 1, 1, 1, 2, 2]]), order=order)
    found = WordsAlone(learned=0).number(rows).position[0, :, 0].tolist()
    assert found == [0, 0, 1, 0, 2, 1, 2]
