"""What makes multimodal in-context learning work (077): shots, corruptions, votes."""

from dataclasses import replace
from random import Random

import pytest
import torch
from PIL import Image

from chiasm.data.example import Example, Turn
from chiasm.errors import Misuse
from chiasm.inspection import shots
from chiasm.inspection.shots import (
    CORRUPTIONS,
    Episode,
    copied,
    copy_rates,
    episodes,
    nearness,
    shuffled,
    try_shots,
    vote,
    word_vectors,
)

lawful = pytest.mark.evidence(slug="micl-analysis", grade="lawful")


def single(name: str, answer: str, question: str = "what color is it?") -> Example:
    shade = 16 + 37 * sum(map(ord, name)) % 200
    image = Image.new("RGB", (40, 24), (shade, 255 - shade, 128))
    return Example(name, (image,), (Turn(question, answer),))


POOL = [
    single(f"p{at}", ("red", "blue", "green")[at % 3], f"what color is shape {at % 4}?")
    for at in range(12)
]
QUERIES = [
    single(f"q{at}", ("red", "blue")[at % 2], f"what color is shape {at % 4}?") for at in range(5)
]


@lawful
def test_without_shots_the_prompt_is_the_question_alone(subjects):
    collator = subjects("llava-1.5").asker.collator
    bare = episodes(QUERIES, POOL, 0, None)
    prompts = collator.batch([one.prompt() for one in bare], teach=False)
    plain = collator.batch(QUERIES, teach=False)
    assert torch.equal(prompts.ids, plain.ids) and torch.equal(prompts.images, plain.images)


@lawful
def test_a_prompt_holds_every_shots_answer_and_picture_in_order(subjects):
    collator = subjects("llava-1.5").asker.collator
    of = episodes(QUERIES, POOL, 3, None)[0]
    prompt = of.prompt()
    assert [turn.answer for turn in prompt.turns] == [*of.labels, "red"]
    assert len(prompt.images) == 4
    batch = collator.collate([prompt], teach=False)
    spelt = collator.spelled(batch.inputs.ids[0].tolist())
    assert all(label in spelt for label in of.labels)
    items = batch.inputs.table.item[0][batch.inputs.source[0] >= 0]
    assert items.unique().tolist() == [1, 2, 3, 4]


@lawful
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_the_count_of_tokens_and_their_order(subjects, name):
    collator = subjects("llava-1.5").asker.collator
    made = episodes(QUERIES, POOL, 4, None, seed=2)
    same = ["red", "red", "red"]  # labels of equally many tokens
    made = [replace(one, shots=[shots._labelled(s, "red") for s in one.shots]) for one in made]
    spoilt = [CORRUPTIONS[name](one, Random(3), same) for one in made]
    before, after = (
        collator.batch([one.prompt() for one in many], teach=False) for many in (made, spoilt)
    )
    assert torch.equal(before.ids, after.ids)
    for column, values in before.table.columns():
        assert torch.equal(values, getattr(after.table, column))
    changed = not torch.equal(before.images, after.images)
    assert changed is ("grey" in name or "pictures" in name)


@lawful
def test_each_corruption_changes_its_one_thing():
    of = episodes(QUERIES, POOL, 5, None)[1]
    draw = Random(0)
    mixed = CORRUPTIONS["labels shuffled"](of, draw, ["x"])
    assert sorted(mixed.labels) == sorted(of.labels) and mixed.query == of.query
    assert [s.images for s in mixed.shots] == [s.images for s in of.shots]
    drawn = CORRUPTIONS["labels random"](of, draw, ["x", "y"])
    assert set(drawn.labels) <= {"x", "y"}
    moved = CORRUPTIONS["shots' pictures shuffled"](of, draw, ["x"])
    assert moved.labels == of.labels and moved.query == of.query
    assert [s.images for s in moved.shots] != [s.images for s in of.shots]
    blind = CORRUPTIONS["query's picture grey"](of, draw, ["x"])
    assert blind.shots == of.shots and blind.query.images != of.query.images
    for count in range(2, 7):
        assert shuffled(count, draw) != list(range(count))
    assert shuffled(1, draw) == [0]


@lawful
def test_votes_never_ask_the_model_and_are_right_where_all_labels_are():
    right = [Episode(query, [replace(s, turns=query.turns) for s in POOL[:4]]) for query in QUERIES]
    assert all(vote(one) == one.query.turns[-1].answer == copied(one) for one in right)
    tied = Episode(QUERIES[0], [single("a", "red"), single("b", "blue"), single("c", "green")])
    assert vote(tied) == copied(tied) == "green"
    most = Episode(QUERIES[0], [single("a", "red"), single("b", "red"), single("c", "green")])
    assert vote(most) == "red" and copied(most) == "green"


@lawful
def test_equal_seeds_pick_equal_shots_and_others_do_not():
    picked = [
        [[s.id for s in one.shots] for one in episodes(QUERIES, POOL, 4, None, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert picked[0] == picked[1] != picked[2]


@lawful
def test_the_nearest_shot_comes_last_and_is_never_the_query(subjects):
    subject = subjects("llava-1.5").among(QUERIES)
    near = nearness(subject, POOL, "words")
    for one in episodes(QUERIES, POOL, 2, near):
        assert {shot.turns[-1].question for shot in one.shots} == {one.query.turns[-1].question}
    own = nearness(subject, [*POOL, *QUERIES], "both")
    first = episodes(QUERIES, [*POOL, *QUERIES], 3, own)[0]
    assert QUERIES[0].id not in {shot.id for shot in first.shots}
    alike = [replace(QUERIES[0], id="twin"), *POOL]
    twin = episodes(QUERIES, alike, 3, nearness(subject, alike, "picture"))[0]
    assert twin.shots[-1].id == "twin"
    with pytest.raises(Misuse, match="chosen by"):
        nearness(subject, POOL, "taste")
    with pytest.raises(Misuse, match="pool"):
        episodes(QUERIES, POOL, 12, None)


def test_words_weigh_alike():
    vectors = word_vectors([single("a", "", "red or blue"), single("b", "", "blue or red")])
    torch.testing.assert_close(vectors @ vectors.T, torch.ones(2, 2).double())


@lawful
def test_copying_is_counted_by_place_above_what_another_querys_labels_give():
    made = [
        Episode(QUERIES[0], [single("a", "red"), single("b", "blue")]),
        Episode(QUERIES[1], [single("a", "green"), single("b", "gray")]),
    ]
    assert copy_rates(made, ["blue", "gray"]) == [0.0, 1.0]
    assert copy_rates(made, ["green", "red"]) == [-1.0, 0.0]


@pytest.mark.evidence(slug="micl-analysis", grade="builds")
def test_every_arm_is_asked(subjects):
    subject = subjects("llava-1.5").among(QUERIES)
    found = try_shots(subject, POOL, ks=(0, 2), selections=("random", "words"), max_new=2)
    assert {(one.selection, one.k) for one in found.arms} == {
        ("none", 0),
        ("random", 2),
        ("words", 2),
    }
    assert len(found.arms) == 2 + 2 * len(CORRUPTIONS)
    assert all(len(rates) == 2 for rates in found.copies.values())
    again = try_shots(subject, POOL, ks=(0, 2), selections=("random", "words"), max_new=2)
    assert again == found
    with pytest.raises(Misuse, match="no corruption"):
        try_shots(subject, POOL, corruptions=("burnt",))
