"""A picture that is kept is the picture."""

import numpy as np
from tests.embedders.few import few

from chiasm.data.views import picture
from chiasm.embedders.remembered import all_read, remembered


def test_the_second_reading_equals_the_first_and_the_source():
    pairs = few()
    kept = remembered(pairs)
    for pair, own in zip(pairs, kept, strict=True):
        source = np.asarray(picture(pair.picture).convert("RGB"))
        for _ in range(2):
            assert np.array_equal(np.asarray(picture(own.picture)), source)
    assert kept[0].picture == remembered(pairs)[0].picture
    assert len({pair.picture for pair in kept}) == len(pairs)


def test_read_beforehand_is_the_same():
    for pair, own in zip(few(), all_read(few()), strict=True):
        assert len(own.picture.kept) == len(few())
        source = np.asarray(picture(pair.picture).convert("RGB"))
        assert np.array_equal(np.asarray(picture(own.picture)), source)
