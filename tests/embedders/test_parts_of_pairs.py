"""Tasks of changes and films read what a pair has, and refuse pairs that have none."""

import pytest
from tests.embedders.few import few

from chiasm.data import changed_scenes, moving_scenes
from chiasm.embedders.batches import CHANGE_TO_PICTURE, TEXT_TO_FILM
from chiasm.embedders.pairs import pairs_named
from chiasm.embedders.remembered import Remembered, all_read
from chiasm.errors import Misuse
from chiasm.stream import Modality

CHANGED = changed_scenes.pairs("test", count=3)
FILMS = moving_scenes.pairs("test", count=3)


def test_a_change_is_asked_with_the_picture_before_and_the_words() -> None:
    pair = CHANGED[2]
    before, told = CHANGE_TO_PICTURE.asks(pair, 0, 0).parts
    assert before.pictures == (pair.before,)
    assert told.text == pair.change
    assert CHANGE_TO_PICTURE.holds(pair, 0, 0).parts[0].pictures == (pair.picture,)


def test_a_film_is_a_part_of_all_its_frames() -> None:
    [part] = TEXT_TO_FILM.holds(FILMS[1], 0, 0).parts
    assert part.pictures == FILMS[1].frames and part.modality is Modality.VIDEO


@pytest.mark.parametrize(
    ("task", "other"), [(CHANGE_TO_PICTURE, "scenes-changes"), (TEXT_TO_FILM, "scenes-films")]
)
def test_other_pairs_are_refused(task, other) -> None:
    with pytest.raises(Misuse, match=f"{few()[0].id} .*--data {other}"):
        task.asks(few()[0], 0, 0)
        task.holds(few()[0], 0, 0)


def test_they_are_named_and_remembered_whole() -> None:
    assert pairs_named("scenes-changes", "test")[:12] == CHANGED
    assert pairs_named("scenes-films", "test")[:6] == FILMS
    for task, pairs in ((CHANGE_TO_PICTURE, CHANGED), (TEXT_TO_FILM, FILMS)):
        for own, pair in zip(all_read(pairs), pairs, strict=True):
            for made, source in (
                (task.asks(own, 0, 0), task.asks(pair, 0, 0)),
                (task.holds(own, 0, 0), task.holds(pair, 0, 0)),
            ):
                read = [one for part in made.parts for one in part.pictures]
                assert all(isinstance(one, Remembered) for one in read)
                assert [one.source for one in read if isinstance(one, Remembered)] == [
                    one for part in source.parts for one in part.pictures
                ]
                assert [p.text for p in made.parts] == [p.text for p in source.parts]
