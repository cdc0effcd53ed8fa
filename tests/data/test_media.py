"""Reading pictures: every conversion, every refusal, and nothing of Pillow's escapes."""

import base64
import io
import os
import struct
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chiasm.data.media import FORMATS, image_size, list_images, read_image
from chiasm.errors import ChiasmError, Misuse

ORIENTATION = 0x0112


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def picture(height: int = 7, width: int = 13, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode == "RGB" and np.array_equal(np.asarray(a), np.asarray(b))


class TestSources:
    def test_every_way_in_gives_the_same_picture(self, tmp_path, monkeypatch):
        original = picture()
        data = encoded(original)
        path = tmp_path / "a.png"
        path.write_bytes(data)
        uri = "data:image/png;base64," + base64.b64encode(data).decode()
        with path.open("rb") as stream:
            for source in (path, str(path), data, bytearray(data), stream, uri, io.BytesIO(data)):
                assert image_size(source) == (7, 13)
                assert same(read_image(source), original)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert same(read_image("-"), original)

    def test_a_borrowed_stream_is_left_where_it_was(self):
        stream = io.BytesIO(b"head" + encoded(picture()))
        stream.seek(4)
        read_image(stream)
        assert stream.tell() == 4

    def test_a_stream_that_cannot_seek(self):
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stream:
            with os.fdopen(writing, "wb") as out:
                out.write(encoded(picture()))
            assert same(read_image(stream), picture())

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("missing.png", "no such file"),
            ("http://example.org/a.png", "remote media is not fetched"),
            ("HTTPS://example.org/a.png", "remote media is not fetched"),
            ("s3://bucket/a.png", "remote media is not fetched"),
            ("nul\0byte.png", "not a usable path"),
            ("x" * 5000, "not a usable path"),
            ("data:image/png,abc", "base64"),
            (17, "not int"),
        ],
    )
    def test_what_cannot_be_meant(self, source, words):
        with pytest.raises(Misuse, match=words) as caught:
            read_image(source)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400

    def test_a_folder_and_a_pipe(self, tmp_path):
        with pytest.raises(Misuse, match=f"{tmp_path.name}: is a folder"):
            read_image(tmp_path)
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(Misuse, match=r"pipe\.png: is not a regular file"):
            read_image(tmp_path / "pipe.png")

    def test_text_mode(self):
        with pytest.raises(Misuse, match="'rb'"):
            read_image(io.StringIO("abc"))  # type: ignore[arg-type]


class TestDamage:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "is empty"),
            (b"hello world, this is text", "not a readable"),
            (encoded(picture(64, 64))[:300], "damaged or truncated PNG"),
            (encoded(picture(64, 64), "JPEG")[:900], "damaged or truncated JPEG"),
            (b"P6 0 0 255 ", "not a readable"),
            (b"8BPS\0\1" + b"\0" * 40, "not a readable"),
        ],
    )
    def test_one_line_with_the_file_name(self, tmp_path, data, words):
        path = tmp_path / "two\nlines.png"
        path.write_bytes(data)
        with pytest.raises(ChiasmError, match=words) as caught:
            read_image(path)
        assert r"two\nlines.png" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 1

    def test_bad_base64(self):
        with pytest.raises(ChiasmError, match="base64"):
            read_image("data:image/png;base64,@@@@@@@@")

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(FORMATS), st.floats(0, 1), st.integers(0, 255))
    def test_cut_or_flipped_bytes_never_escape(self, format, at, flip):
        data = bytearray(encoded(picture(17, 19), format))
        place = int(at * (len(data) - 1))
        for broken in (data[:place], data[:place] + bytes([flip]) + data[place + 1 :]):
            for reader in (read_image, image_size):
                try:
                    reader(bytes(broken))
                except ChiasmError as error:
                    assert "\n" not in str(error)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200))
    def test_noise_never_escapes(self, data):
        with pytest.raises(ChiasmError):
            read_image(data)


class TestCaps:
    def test_a_bomb_is_refused_without_allocating(self, tmp_path):
        path = tmp_path / "bomb.png"
        path.write_bytes(png_header(50_000, 50_000))
        for reader in (read_image, image_size):
            tracemalloc.start()
            with pytest.raises(ChiasmError, match=r"bomb\.png.*2500000000 pixels"):
                reader(path)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 2**20

    def test_between_our_cap_and_pillows(self):
        with pytest.raises(ChiasmError, match=r"10,000 x 10,000 is 100,000,000 pixels"):
            read_image(png_header(10_000, 10_000))

    def test_the_pixel_cap_is_inclusive(self):
        data = encoded(picture(7, 13))
        assert read_image(data, max_pixels=91).size == (13, 7)
        with pytest.raises(ChiasmError, match="91 pixels, above the cap of 90"):
            read_image(data, max_pixels=90)

    def test_a_large_file_is_refused_before_reading(self, tmp_path):
        path = tmp_path / "large.png"
        with path.open("wb") as out:
            out.truncate(2**40)
        with pytest.raises(ChiasmError, match=r"large\.png: 1,099,511,627,776 bytes"):
            read_image(path)

    def test_an_endless_stream_stops_at_the_cap(self):
        class Endless(io.RawIOBase):
            given = 0

            def readable(self):
                return True

            def read(self, size=-1):
                Endless.given += size
                return b"x" * size

        with pytest.raises(ChiasmError, match="above the cap of 5,000,000"):
            read_image(Endless(), max_bytes=5_000_000)  # type: ignore[arg-type]
        assert Endless.given < 8_000_000

    def test_standard_input_is_capped(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * 2000)))
        with pytest.raises(ChiasmError, match="standard input: at least 2,000 bytes"):
            read_image("-", max_bytes=1000)


class TestOrientation:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_size_from_the_header_and_upright_pixels(self, format, orientation):
        stored = Image.new("RGB", (16, 8), "black")
        stored.paste("white", (0, 0, 8, 4))  # white in the stored top left
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = encoded(stored, format, exif=exif)
        notes: list[str] = []
        image = read_image(data, notes=notes)
        assert image_size(data) == (image.height, image.width)
        assert image.size == ((8, 16) if orientation > 4 else (16, 8))
        top, left = {1: (1, 1), 2: (1, 0), 3: (0, 0), 4: (0, 1)}.get(
            orientation, {5: (1, 1), 6: (1, 0), 7: (0, 0), 8: (0, 1)}.get(orientation)
        )
        corner = (2 if left else image.width - 3, 1 if top else image.height - 2)
        assert image.getpixel(corner)[0] > 200
        opposite = (image.width - 1 - corner[0], image.height - 1 - corner[1])
        assert image.getpixel(opposite)[0] < 50
        assert ("EXIF orientation" in " ".join(notes)) == (orientation > 1)

    def test_header_alone_is_enough(self):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        data = encoded(picture(300, 200), "JPEG", exif=exif)
        assert image_size(data[: data.index(b"\xff\xda") + 16]) == (200, 300)


class TestConversions:
    def read(self, data: bytes) -> tuple[np.ndarray, str]:
        notes: list[str] = []
        image = read_image(io.BytesIO(data), notes=notes)
        assert image.mode == "RGB"
        assert all(note.startswith("file object: ") and "\n" not in note for note in notes)
        return np.asarray(image), "; ".join(notes)

    def test_plain_rgb_has_no_note(self):
        assert self.read(encoded(picture()))[1] == ""

    def test_transparency_is_laid_on_white(self):
        image = Image.new("RGBA", (3, 1))
        image.putdata([(255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 51)])
        values, note = self.read(encoded(image))
        assert values[0].tolist() == [[255, 0, 0], [255, 255, 255], [204, 204, 204]]
        assert "RGBA, its transparency laid on white" in note

    def test_grey_with_alpha(self):
        image = Image.new("LA", (2, 1))
        image.putdata([(10, 255), (10, 0)])
        values, note = self.read(encoded(image))
        assert values[0].tolist() == [[10] * 3, [255] * 3]
        assert "LA, its transparency" in note

    def test_opaque_alpha(self):
        values, note = self.read(encoded(picture().convert("RGBA")))
        assert np.array_equal(values, np.asarray(picture()))
        assert "opaque alpha" in note

    @pytest.mark.parametrize("transparency", [None, 1, bytes([255, 0])])
    @pytest.mark.parametrize("format", ["PNG", "GIF"])
    def test_palette(self, format, transparency):
        image = Image.new("P", (2, 1))
        image.putpalette([200, 30, 40, 10, 20, 30])
        image.putdata([0, 1])
        if isinstance(transparency, bytes) and format == "GIF":
            pytest.skip("GIF knows one clear colour")
        options = {} if transparency is None else {"transparency": transparency}
        values, note = self.read(encoded(image, format, **options))
        expected = [10, 20, 30] if transparency is None else [255] * 3
        assert values[0].tolist() == [[200, 30, 40], expected]
        assert ("palette" if transparency is None else "transparency") in note

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
    def test_sixteen_bits_are_scaled_not_clipped(self, format):
        deep = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
        values, note = self.read(encoded(Image.fromarray(deep), format))
        assert values[0, :, 0].tolist() == [0, 1, 128, 255]
        assert note

    def test_sixteen_bit_colour(self):
        deep = np.full((5, 3, 3), 0x80FF, dtype=">u2").tobytes()
        values, _ = self.read(b"P6 3 5 65535\n" + deep)
        assert (abs(values.astype(int) - 129) <= 1).all()

    def test_cmyk(self):
        values, note = self.read(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
        assert values[4, 4, 0] > 240
        assert values[4, 4, 1] < 15
        assert "CMYK" in note

    def test_one_bit(self):
        image = Image.new("1", (2, 1))
        image.putdata([0, 255])
        values, note = self.read(encoded(image))
        assert values[0].tolist() == [[0] * 3, [255] * 3]
        assert "1-bit" in note

    @pytest.mark.parametrize(
        ("pixels", "expected"),
        [
            ([0.0, 0.5, 1.0], [0, 128, 255]),
            ([0.0, 100.0, 200.0], [0, 100, 200]),
            ([-1.0, 0.0, 3.0], [0, 64, 255]),
            ([np.nan, 2.0, 1002.0], [0, 1, 255]),
            ([7000.0, 7000.0, 7000.0], [0, 0, 0]),
        ],
    )
    def test_floating_point_tiff(self, pixels, expected):
        data = encoded(Image.fromarray(np.array([pixels], dtype=np.float32)), "TIFF")
        values, note = self.read(data)
        assert values[0, :, 0].tolist() == expected
        assert "floating point" in note

    def test_infinite_float_pixels(self):
        data = encoded(Image.fromarray(np.array([[np.inf, 0, 0.5]], dtype=np.float32)), "TIFF")
        assert self.read(data)[0][0, :, 0].tolist() == [255, 0, 128]

    def test_wide_integer_tiff(self):
        deep = np.array([[-(2**30), 0, 2**30]], dtype=np.int32)
        values, note = self.read(encoded(Image.fromarray(deep), "TIFF"))
        assert values[0, :, 0].tolist() == [0, 128, 255]
        assert "32-bit" in note

    @pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
    def test_the_first_frame_of_an_animation(self, format):
        frames = [Image.new("RGB", (9, 5), colour) for colour in ("red", "lime", "blue")]
        lossless = {"lossless": True} if format == "WEBP" else {}
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **lossless)
        values, note = self.read(data)
        assert values[0, 0].tolist() == [255, 0, 0]
        assert "animated, 3 frames; only the first is used" in note

    def test_the_first_page_of_a_tiff(self):
        data = encoded(picture(), "TIFF", save_all=True, append_images=[picture(seed=1)])
        values, note = self.read(data)
        assert np.array_equal(values, np.asarray(picture()))
        assert "holds 2 pictures" in note

    def test_notes_name_the_file(self, tmp_path):
        path = tmp_path / "mask.png"
        Image.new("1", (2, 2)).save(path)
        notes: list[str] = []
        read_image(path, notes=notes)
        assert notes == [f"{path}: 1-bit, widened to RGB"]


def test_list_images(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt", ".hidden.png", "sub/c.webp", ".git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["a.jpg", "b.PNG"]
    names = [
        path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path, recursive=True)
    ]
    assert names == ["a.jpg", "b.PNG", "sub/c.webp"]
    with pytest.raises(Misuse, match="no such folder"):
        list_images(tmp_path / "missing")
    with pytest.raises(Misuse, match="not a folder"):
        list_images(Path(tmp_path / "a.jpg"))
