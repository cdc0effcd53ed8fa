"""Blocks and drafts, pair by pair."""

import torch

from chiasm.stream import Modality, Role, TokenTable
from chiasm.visibility import Causal, DraftsApart, LatentBlock, WithinBlock, dense_mask


def table(rows: list[tuple[Modality, int, Role]]) -> TokenTable:
    plain = TokenTable.text(torch.ones(1, len(rows), dtype=torch.bool))
    modality, item, role = (torch.tensor([column]) for column in zip(*rows, strict=True))
    return TokenTable(**{**dict(plain.columns()), "modality": modality, "item": item, "role": role})


T = (Modality.TEXT, 0, Role.USER)
D = (Modality.LATENT, 1, Role.DRAFT)
C = (Modality.LATENT, 1, Role.ASSISTANT)
V = (Modality.IMAGE, 1, Role.ASSISTANT)
U = (Modality.TEXT, 1, Role.USER)


def test_the_rule_is_the_drawing_of_its_module():
    import chiasm.visibility.blocks as module

    drawn = [line.split()[1:] for line in (module.__doc__ or "").splitlines()[6:12]]
    rows = table([T, D, D, C, C, U])
    got = dense_mask((Causal() | WithinBlock()) & DraftsApart(), rows, rows)[0]
    assert [["1" if seen else "." for seen in row] for row in got.tolist()] == drawn


def test_encoder_rows_are_a_block_of_their_own_or_causal():
    rows = table([T, C, C, V, V, U])
    whole = dense_mask(Causal() | WithinBlock(), rows, rows)[0]
    latents = dense_mask(Causal() | LatentBlock(), rows, rows)[0]
    causal = torch.ones(6, 6).tril().bool()
    more = causal.clone()
    more[1, 2] = True
    assert torch.equal(latents, more)
    more[3, 4] = True
    assert torch.equal(whole, more)


def test_two_pictures_do_not_share_a_block():
    other = (Modality.LATENT, 2, Role.DRAFT)
    rows = table([T, D, D, other, other])
    got = dense_mask((Causal() | WithinBlock()) & DraftsApart(), rows, rows)[0]
    assert not bool(got[1:3, 3:].any()) and not bool(got[3:, 1:3].any())
    assert bool(got[3:, 3:].all()) and bool(got[:, 0].all())
