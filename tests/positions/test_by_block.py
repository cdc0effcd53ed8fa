"""One position a picture, counted by hand."""

from dataclasses import replace

import torch

from chiasm.positions import OnePerBlock, Sequential
from chiasm.stream import Modality, Role, TokenTable

T = (Modality.TEXT, 0, Role.USER)
D, C = (Modality.LATENT, 1, Role.DRAFT), (Modality.LATENT, 1, Role.ASSISTANT)
V = (Modality.IMAGE, 1, Role.ASSISTANT)
A = (Modality.TEXT, 1, Role.USER)
E = (Modality.LATENT, 2, Role.DRAFT)


def table(rows, *, segment=None, valid=None) -> TokenTable:
    plain = TokenTable.text(torch.ones(1, len(rows), dtype=torch.bool))
    modality, item, role = (torch.tensor([column]) for column in zip(*rows, strict=True))
    made = replace(plain, modality=modality, item=item, role=role)
    if segment is not None:
        order = torch.tensor([[at if s == 0 else 0 for at, s in enumerate(segment)]])
        for one in set(segment) - {0}:
            inside = torch.tensor([segment]) == one
            order = torch.where(inside, inside.cumsum(1) - 1 + segment.count(0), order)
        made = replace(made, segment=torch.tensor([segment]), order=order)
    return made if valid is None else replace(made, valid=torch.tensor([valid]))


def numbered(made: TokenTable) -> list[float]:
    return OnePerBlock().number(made).position[0, :, 0].tolist()


def test_a_block_is_one_step_and_a_draft_none():
    rows = [T, T, D, D, C, C, V, V, V, A, A, E, E]
    assert numbered(table(rows)) == [0, 1, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6, 6]


def test_text_alone_is_numbered_as_ever():
    made = table([T, T, A, A])
    assert numbered(made) == Sequential().number(made).position[0, :, 0].tolist()


def test_packed_segments_go_on_from_their_prefix():
    rows = [T, V, V, A, A, A]
    assert numbered(table(rows, segment=[0, 0, 0, 1, 1, 2])) == [0, 1, 1, 2, 3, 2]


def test_padding_counts_for_nothing_on_either_side():
    rows = [T, T, V, V, A]
    real = [0, 1, 2, 2, 3]
    padded = table([*rows, A, A], valid=[True] * 5 + [False] * 2)
    assert numbered(padded)[:5] == real
    left = table([T, T, *rows], valid=[False] * 2 + [True] * 5)
    order = torch.tensor([[0, 0, 0, 1, 2, 3, 4]])
    assert numbered(replace(left, order=order))[2:] == real
