"""Each kind of row counts itself, and learned rows are told from an image's own."""

from dataclasses import replace

import torch

from chiasm.positions import Apart
from chiasm.stream import Modality, TokenTable

TEXT, IMAGE, LEARNED = int(Modality.TEXT), int(Modality.IMAGE), int(Modality.LEARNED)


def table(modality: list[int], item: list[int], valid: list[bool] | None = None) -> TokenTable:
    held = torch.tensor([valid or [True] * len(modality)])
    rows = TokenTable.text(held)
    return replace(rows, modality=torch.tensor([modality]), item=torch.tensor([item]))


def test_words_do_not_count_an_image_in_front_of_them() -> None:
    rows = table([TEXT, IMAGE, IMAGE, IMAGE, TEXT, TEXT], [0, 1, 1, 1, 1, 1])
    assert Apart().number(rows).position[0, :, 0].tolist() == [0, 0, 1, 2, 1, 2]


def test_padding_in_front_counts_nothing() -> None:
    rows = table(
        [TEXT, TEXT, IMAGE, IMAGE, TEXT], [0, 0, 1, 1, 1], [False, False, True, True, True]
    )
    assert Apart().number(rows).position[0, 2:, 0].tolist() == [0, 1, 0]


def test_the_last_rows_of_every_image_are_learned() -> None:
    rows = table([IMAGE] * 3 + [TEXT] + [IMAGE] * 4 + [TEXT], [1] * 4 + [2] * 5)
    marked = Apart(learned=2).number(rows).modality[0].tolist()
    own = [IMAGE, LEARNED, LEARNED, TEXT, IMAGE, IMAGE, LEARNED, LEARNED, TEXT]
    assert marked == own
    assert Apart().number(rows).modality is rows.modality
