"""Two vocabularies: words and the codes of a quantiser, apart on their way in and out."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.tiny import HOST
from torch import nn

from chiasm.heads import CodeHead
from chiasm.heads.codes import TextAndCodes

ANSWER = CodeHead(codes=23, rows=7, caption=5)


def head(*, tied: bool = True) -> tuple[TextAndCodes, nn.Embedding]:
    torch.manual_seed(0)
    words = nn.Embedding(HOST.vocabulary, HOST.width)
    return ANSWER.build(replace(HOST, tied_head=tied), words), words


def test_each_vocabulary_is_scored_by_its_own_embeddings() -> None:
    made, words = head()
    hidden = torch.randn(3, HOST.width)
    torch.testing.assert_close(made.emit(hidden), hidden @ words.weight.T)
    torch.testing.assert_close(made.codes(hidden), hidden @ made.pictures.embed.weight.T)
    assert made.codes(hidden).shape == (3, 23)


def test_a_task_teaches_its_own_side_only() -> None:
    for task, idle in (("emit", "pictures"), ("codes", "lm_head")):
        made, _ = head(tied=False)
        getattr(made, task)(torch.randn(3, HOST.width)).square().sum().backward()
        taught = {n for n, p in made.named_parameters() if p.grad is not None}
        assert taught and not any(name.startswith(idle) for name in taught)


def test_codes_and_words_of_a_picture_enter_at_learned_places() -> None:
    """A picture's places follow the longest caption's, however long its own is."""
    made, words = head()
    ends, places = made.pictures, made.pictures.positions.weight
    codes, number = torch.randint(0, 23, (2, 7)), torch.arange(7).expand(2, 7)
    got = made.enter_codes(codes, number)
    torch.testing.assert_close(got, ends.enter_proj(ends.embed(codes)) + places[5:12])
    torch.testing.assert_close(made.enter_codes(codes[:, 2:3], number[:, 2:3]), got[:, 2:3])
    caption, number = words(torch.randint(0, HOST.vocabulary, (2, 4))), torch.arange(4).expand(2, 4)
    expected = ends.caption_proj(caption) + places[:4]
    torch.testing.assert_close(made.enter_caption(caption, number), expected)
    assert all(layer.bias is None for layer in ends.caption_proj if isinstance(layer, nn.Linear))


def test_a_row_without_a_place_is_refused() -> None:
    number = torch.tensor([[7]])
    with pytest.raises(ValueError, match="code 7 has no place: 7 are learned"):
        head()[0].enter_codes(torch.zeros_like(number), number)
    with pytest.raises(ValueError, match="word of a caption 7 has no place: 5"):
        head()[0].enter_caption(torch.zeros(1, 1, HOST.width), number)


def test_work_equals_the_operator_count() -> None:
    made, words = head()
    caption, codes = words(torch.zeros(1, 5, dtype=torch.long)), torch.zeros(1, 7, dtype=torch.long)

    def picture() -> None:
        made.enter_caption(caption, torch.arange(5).unsqueeze(0))
        made.codes(made.enter_codes(codes, torch.arange(7).unsqueeze(0)))

    assert sum(w.macs for w in ANSWER.picture_work(HOST, 5)) == operator_macs(picture)
    hidden = torch.randn(3, HOST.width)
    assert sum(w.macs for w in ANSWER.work(HOST, 3)) == operator_macs(lambda: made.emit(hidden))


def test_published_size() -> None:
    """OmniMamba: 16,384 codes of width 2048, 256 of them behind 73 rows of caption."""
    host = replace(HOST, width=2048, vocabulary=50_277, tied_head=True)
    with torch.device("meta"):
        made = CodeHead(codes=16_384, rows=256, caption=73).build(host, nn.Embedding(50_277, 2048))
    own = sum(p.numel() for p in made.pictures.parameters())
    fused = 2048 * 8192 + 8192 + 8192 * 2048 + 2048 + 2048 * 2048 + 2048
    assert own == (16_384 + 256 + 73) * 2048 + fused + 2 * 2048 * 2048
