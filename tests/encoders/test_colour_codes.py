"""Colours as codes: a vocabulary of levels cubed."""

import torch

from chiasm.encoders import ColourCodes

CODES = ColourCodes(patch=3, levels=5, low=-1.0, high=1.0)


def painted(*colours: tuple[float, float, float]) -> torch.Tensor:
    """One row of patches of these colours."""
    columns = [torch.tensor(colour).view(3, 1, 1).expand(3, 3, 3) for colour in colours]
    return torch.cat(columns, 2).unsqueeze(0)


def test_a_code_names_the_level_of_every_channel():
    given = painted((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), (-0.1, 0.3, 0.9), (-9.0, 9.0, 0.0))
    codes = CODES.build()(given).tokens[0, :, 0].tolist()
    assert codes == [0, 124, (2 * 5 + 3) * 5 + 4, (0 * 5 + 4) * 5 + 2]
    assert CODES.codes == 125


def test_colours_of_one_level_share_a_code():
    near, far = painted((0.01, 0.01, 0.01)), painted((0.19, 0.19, 0.19))
    other = painted((0.21, 0.01, 0.01))
    one, same, different = (int(CODES.build()(x).tokens) for x in (near, far, other))
    assert one == same != different


def test_padding_takes_no_part_in_a_colour():
    given = painted((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    valid = torch.ones(1, 3, 6, dtype=torch.bool)
    valid[:, :, 4:] = False
    given[..., 4:] = -1.0
    features = CODES.build()(given, valid)
    assert features.valid.tolist() == [[True, True]]
    assert len(set(features.tokens.flatten().tolist())) == 1
    valid[:, :, 3:] = False
    assert CODES.build()(given, valid).valid.tolist() == [[True, False]]


def test_a_part_of_a_patch_counts_as_one():
    assert CODES.grid((4, 3)) == (2, 1)
    features = CODES.build()(torch.full((1, 3, 4, 3), 0.5))
    assert features.grid == (2, 1)
    assert len(set(features.tokens.flatten().tolist())) == 1
