"""Three axes: pictures stand on their grid, text on the diagonal behind the longer side."""

from dataclasses import replace

import torch

from chiasm.positions import MultimodalRotary
from chiasm.stream import Modality, TokenTable


def test_a_picture_between_words() -> None:
    """Two words, 2 x 3 patches, a word, 1 x 1 patch, a word; the second sample starts padded."""
    valid = torch.ones(2, 11, dtype=torch.bool)
    valid[1, :1] = False
    table = TokenTable.text(valid)
    modality, item, place = table.modality.clone(), table.item.clone(), table.place.clone()
    modality[:, 2:8], modality[:, 9] = int(Modality.IMAGE), int(Modality.IMAGE)
    item[:, 2:9], item[:, 9:] = 1, 2
    grid = [[0, y, x] for y in range(2) for x in range(3)]
    place[:, 2:8] = torch.tensor(grid).float()
    found = MultimodalRotary().number(replace(table, modality=modality, item=item, place=place))
    expected = [[0] * 3, [1] * 3, *[[2, 2 + y, 2 + x] for _, y, x in grid]]
    expected += [[5] * 3, [6] * 3, [7] * 3]
    assert found.position[0].tolist() == expected
    # One row of padding in front moves everything one step nearer.
    assert found.position[1, 2:].tolist() == [[at - 1 for at in row] for row in expected[2:]]
