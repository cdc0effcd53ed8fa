"""The shared looks, and blocks and layers at equal depth."""

import pytest
import torch
from tests.compression.made_up import host

from chiasm.compression.evidence import BlockLook
from chiasm.compression.looks import ClassAttention, ReceivedAttention, attention_look
from chiasm.compression.method import scaled
from chiasm.errors import Misuse


def test_the_class_token_s_row_without_its_own_column():
    attention = torch.rand(3, 1, 8)
    found = ClassAttention(block=2).per_patch(attention, 1)
    assert torch.allclose(
        found, torch.stack([sum(h[0, 1 + p] for h in attention) for p in range(7)]) / 3
    )


def test_more_class_tokens_are_no_patches():
    attention = torch.rand(3, 1, 8)
    assert len(ClassAttention(block=2).per_patch(attention, 3)) == 5


def test_an_encoder_without_class_token_has_no_class_attention():
    with pytest.raises(Misuse, match="0 class tokens, so block 2"):
        ClassAttention(block=2).per_patch(torch.rand(3, 1, 8), 0)


@pytest.mark.parametrize("class_tokens", [0, 2])
def test_received_attention_is_the_mean_of_a_column(class_tokens):
    attention = torch.rand(3, 7, 7).softmax(-1)
    found = ReceivedAttention(block=0).per_patch(attention, class_tokens)
    for patch in range(7 - class_tokens):
        column = [attention[h, q, class_tokens + patch] for h in range(3) for q in range(7)]
        assert torch.isclose(found[patch], torch.stack(column).mean())


def test_received_attention_of_all_rows_sums_to_one():
    attention = torch.rand(3, 7, 7).softmax(-1)
    assert torch.isclose(
        ReceivedAttention(block=0).per_patch(attention, 0).sum(), torch.tensor(1.0)
    )


def test_which_look_an_encoder_offers():
    assert attention_look(host(class_token=True), 3) == ClassAttention(block=3)
    assert attention_look(host(class_token=False), 3) == ReceivedAttention(block=3)
    assert isinstance(ClassAttention(block=3), BlockLook)
    assert not ClassAttention(block=3).rows_of_all
    assert ReceivedAttention(block=3).rows_of_all


def test_scaled_keeps_the_depth_and_stays_within():
    assert scaled(5, of=24, to=24) == 5
    assert scaled(16, of=32, to=28) == 14
    assert scaled(9, of=28, to=32) == 10
    assert scaled(25, of=27, to=2) == 1
    for to in (1, 2, 3, 5, 24, 61):
        found = [scaled(index, of=24, to=to) for index in range(24)]
        assert found == sorted(found)
        assert found[0] == 0 and found[-1] <= to - 1
    with pytest.raises(
        Misuse, match="block 5 of 24 of the encoder is to be read, and this encoder has no"
    ):
        scaled(5, of=24, to=0)


def test_layers_of_a_host():
    assert host(depth=32).layer(16, of=32) == 16
    assert host(depth=2).layer(2, of=32) == 1
    assert host(depth=28, first=3).layer(2, of=32) == 3
    with pytest.raises(Misuse, match="before layer 1 at the earliest, and the host has 1 layers"):
        host(depth=1).layer(16, of=32)


def test_the_last_block_but_one():
    assert [host(blocks=blocks).penultimate for blocks in (1, 2, 3, 24)] == [0, 0, 1, 22]
    with pytest.raises(Misuse, match="this encoder has no block of attention"):
        host(blocks=0).penultimate  # noqa: B018
