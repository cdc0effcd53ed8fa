"""Media limits and the cache: what is kept is found by its content alone."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.conftest import png, uri

from chiasm.errors import ChiasmError
from chiasm.serving.cache import ContentCache, key
from chiasm.serving.media import MediaReader
from chiasm.serving.settings import Settings


@given(st.binary(max_size=20), st.text(max_size=9), st.binary(max_size=20), st.text(max_size=9))
def test_keys_differ_where_bytes_or_treatment_do(data, how, other, other_how):
    same = (data, how) == (other, other_how)
    assert (key(data, how) == key(other, other_how)) == same


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 7)), max_size=60))
def test_the_cache_gives_what_would_be_made_and_stays_within_its_limit(asked):
    cache = ContentCache(13)
    for number, size in asked:
        data = bytes([number])
        found = cache.get(data, f"size {size}", lambda n=number, s=size: (n, s), lambda v: v[1])
        assert found == (number, size)
        assert cache.held == sum(held for _, held in cache._entries.values()) <= 13
    assert cache.hits + cache.misses == len(asked)


def test_the_least_recently_used_goes_first():
    cache = ContentCache(2)
    made = []

    def get(name: bytes) -> None:
        cache.get(name, "", lambda: made.append(name), lambda _: 1)

    for name in (b"a", b"b", b"a", b"c", b"a", b"b"):
        get(name)
    assert made == [b"a", b"b", b"c", b"b"]


def test_a_wrong_picture_is_never_given_for_another():
    reader = MediaReader(Settings())
    red, blue = png((200, 30, 30)), png((10, 90, 250))
    for data in (red, blue, red, blue):
        expected = (200, 30, 30) if data == red else (10, 90, 250)
        assert reader.picture(uri(data)).image.getpixel((5, 5)) == expected
    assert (reader.cache.hits, reader.cache.misses) == (2, 2)


def test_a_picture_that_failed_is_not_remembered():
    reader = MediaReader(Settings())
    for _ in range(2):
        with pytest.raises(ChiasmError):
            reader.picture(uri(png()[:60]))
    assert reader.cache.held == 0


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises many pixels in few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        told = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + told

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bomb(60_000, 60_000), "pixels"),
        (bomb(4099, 4099), "cap of 16,777,216"),
        (b"x" * (1009 + 1), "cap of 1,009"),
        (b"GIF89a", "damaged|not a readable"),
    ],
)
def test_what_is_too_large_or_no_picture_is_refused(data, expected):
    reader = MediaReader(Settings(max_media=1009))
    with pytest.raises(ChiasmError, match=expected):
        reader.picture(uri(data))
