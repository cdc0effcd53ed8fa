"""Regions with boxes: order does not matter, padding does not, the whole image stands in front."""

import torch

from chiasm.connectors import Regions
from chiasm.connectors.regions import cells
from chiasm.stream import Features

WIDTH, HOST = 11, 7


def test_the_first_token_is_the_mean_with_the_whole_box() -> None:
    module, features = Regions().build(WIDTH, HOST), torch.randn(2, 6, WIDTH)
    tokens = module.connect(Features(features, (2, 3))).embeddings
    assert tokens.shape == (2, Regions().count((2, 3)), HOST)
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0])
    wanted = module.norm(module.features(features.mean(1)) + module.boxes(whole))
    torch.testing.assert_close(tokens[:, 0], wanted)


def test_boxes_of_cells_cover_the_image() -> None:
    boxes = cells((2, 3))
    assert boxes.shape == (2, 3, 5)
    torch.testing.assert_close(boxes[1, 2], torch.tensor([2 / 3, 0.5, 1.0, 1.0, 1 / 6]))
    torch.testing.assert_close(boxes[..., 4].sum(), torch.tensor(1.0))


def test_permuting_regions_with_their_boxes_permutes_tokens() -> None:
    module, features = Regions().build(WIDTH, HOST), torch.randn(2, 6, WIDTH)
    boxes, order = cells((2, 3)).flatten(0, 1).expand(2, -1, -1), torch.randperm(6)
    straight = module.regions(features, boxes).embeddings
    moved = module.regions(features[:, order], boxes[:, order]).embeddings
    torch.testing.assert_close(moved[:, 0], straight[:, 0])
    torch.testing.assert_close(moved[:, 1:], straight[:, 1:][:, order])


def test_a_padded_image_is_the_image_alone() -> None:
    module, features = Regions().build(WIDTH, HOST), torch.randn(2, 6, WIDTH)
    valid = torch.tensor([[True] * 6, [True, True, False, False, False, False]])
    together = module.connect(Features(features, (2, 3), valid))
    alone = module.connect(Features(features[1:, :2], (1, 2)))
    assert together.valid is not None
    torch.testing.assert_close(together.embeddings[1, together.valid[1]], alone.embeddings[0])
