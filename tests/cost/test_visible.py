"""Visible pairs against rules written out by hand."""

from dataclasses import replace

import pytest

from chiasm.cost import visible
from chiasm.cost.geometry import make_prompt, squarest
from chiasm.cost.visible import chosen, materialised_pairs, visible_pairs
from chiasm.fusion import InSequence
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Scale
from chiasm.stream import ALL, MEDIA, TEXT, Role
from chiasm.visibility import Causal, NotRole, VisualSeesQuestion, Window

ANSWERS = replace(VISION_LANGUAGE[Scale.NANO], fusion=InSequence())
VISUAL, WORDS = 13, 7
PROMPT = make_prompt(ANSWERS, WORDS, VISUAL, (64, 64))


def test_the_prompt_is_one_word_the_image_the_question_and_the_tag():
    table = PROMPT.table
    assert table.modality[0].tolist() == [0] + [1] * VISUAL + [0] * (WORDS - 1)
    assert table.item[0].tolist() == [0] + [1] * (VISUAL + WORDS - 1)
    assert table.role[0, -1] == Role.TAG and (table.role[0, :-1] == Role.USER).all()
    assert PROMPT.memory.shape == (1, VISUAL) and PROMPT.features == VISUAL
    assert PROMPT.step.order.item() == VISUAL + WORDS


@pytest.mark.parametrize("chunk", [1, 50, 1 << 22])
def test_plain_causal_is_known_without_a_mask(chunk, monkeypatch):
    monkeypatch.setattr(visible, "CHUNK", chunk)
    rows = VISUAL + WORDS
    assert visible_pairs(Causal(), PROMPT.table, PROMPT.table) == rows * (rows + 1) // 2
    assert materialised_pairs(Causal(), PROMPT.table, PROMPT.table) == rows * (rows + 1) // 2


def test_text_queries_see_the_image_and_the_text_before_them():
    queries = chosen(PROMPT.table, TEXT)
    after = WORDS - 1
    by_hand = 1 + after * (1 + VISUAL) + after * (after + 1) // 2
    assert visible_pairs(Causal(), queries, PROMPT.table) == by_hand


def test_mutual_attention_adds_image_times_question():
    plain = visible_pairs(Causal(), PROMPT.table, PROMPT.table)
    question = WORDS - 2
    rule = Causal() | VisualSeesQuestion()
    assert visible_pairs(rule, PROMPT.table, PROMPT.table) == plain + VISUAL * question


def test_windows_and_roles_are_materialised():
    rows = VISUAL + WORDS
    assert visible_pairs(Causal() & Window(1), PROMPT.table, PROMPT.table) == rows
    unseen_tag = visible_pairs(Causal() & NotRole(Role.TAG), PROMPT.table, PROMPT.table)
    assert unseen_tag == rows * (rows + 1) // 2


def test_row_sets_are_cut_out():
    assert chosen(PROMPT.table, ALL) is PROMPT.table
    assert chosen(PROMPT.table, MEDIA).shape == (1, VISUAL)
    assert chosen(PROMPT.table, TEXT).order[0].tolist() == [0, *range(VISUAL + 1, VISUAL + WORDS)]


@pytest.mark.parametrize(
    ("tokens", "grid"), [(576, (24, 24)), (13, (1, 13)), (12, (3, 4)), (0, (0, 0))]
)
def test_a_number_of_tokens_is_laid_out_as_squarely_as_it_goes(tokens, grid):
    assert squarest(tokens) == grid
