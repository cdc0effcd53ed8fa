"""Files meant to break a reader: each is a line with its reason, and the others are read."""

import io
import os
import zipfile

import pytest
from PIL import Image

from chiasm.ingestion import Limits, Options, read
from chiasm.ingestion import reading_apart as apart


def huge():
    """A hundred megapixels in a few kilobytes."""
    into = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(into, "PNG")
    return into.getvalue()


def jpeg():
    into = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(into, "JPEG")
    return into.getvalue()


def bomb():
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 300_000_000)
    return into.getvalue()


HOSTILE = {
    "empty.pdf": (b"", "is empty"),
    "huge.png": (huge(), "10,000 x 10,000 is 100,000,000 pixels, above the cap"),
    "cut.jpg": (jpeg()[:3000], "damaged or truncated JPEG"),
    "noise.png": (b"\0\x01\x02" * 99, "not a readable PNG"),
    "noise.mp4": (b"\0\0\0\x20ftypisom" + b"\x07" * 999, "no sound or film that can be read"),
    "noise.wav": (b"RIFF\x10\0\0\0WAVE" + b"\x07" * 99, "no sound or film that can be read"),
    "noise.docx": (b"PK\x03\x04" + b"\x07" * 99, "cannot be unpacked"),
    "bomb.docx": (bomb(), "unpacks to more than 268,435,456 bytes"),
    "noise.bin": (b"\0\x01\x02\x03", "is no kind of file that is read"),
    "photo.heic": (b"\0\0\0\x20ftypheic", "is no kind of file that is read"),
    "drawing.svg": ("<svg><g></svg>", "is no whole SVG"),
    "blank.txt": (" \n\n ", "has no words"),
}


@pytest.mark.parametrize("path", HOSTILE)
def test_each_says_why_in_a_line(made, plainly, path):
    data, reason = HOSTILE[path]
    reading = read(made(path, data), plainly)
    assert reading.units == () and len(reading.notes) == 1
    assert reading.notes[0].startswith(reason), reading.notes
    assert "\n" not in reading.notes[0] and str(made) not in reading.notes[0]


def test_text_above_the_cap(made):
    reading = read(made("a.log", "x" * 1001), Options(limits=Limits(text_bytes=1000)))
    assert reading.notes == ("1,001 bytes, above the cap of 1,000: not read",)


def test_a_file_that_is_gone(made, plainly):
    file = made("a.txt", "x")
    file.place.unlink()
    assert read(file, plainly).notes == ("cannot be read (No such file or directory)",)


@pytest.mark.slow
def test_files_are_read_apart(made, plainly, monkeypatch):
    """One process: two files as they are read here, a death, a good file, and one without end."""
    paths = ["a.txt", "huge.png", "dies.txt", "c.txt", "waits.txt"]
    files = [made(path, HOSTILE["huge.png"][0] if path == "huge.png" else path) for path in paths]
    for file in (files[2], files[4]):
        file.place.unlink()
        os.mkfifo(file.place)
    monkeypatch.setattr(apart, "PATIENCE", 3.0)
    found = {}
    for file, reading in apart.readings(files, plainly, 1):
        found[file.path] = reading
        if file.path == "huge.png":
            # As by a crash, or for want of memory: it is waiting for the first pipe by now.
            [worker] = children()
            os.kill(worker, 9)
    assert {path: found[path] for path in paths if path in ("a.txt", "huge.png", "c.txt")} == {
        file.path: read(file, plainly) for file in (files[0], files[1], files[3])
    }
    died = "its reader died (killed, perhaps for want of memory): not read"
    assert found["dies.txt"].notes == (died,)
    assert found["waits.txt"].notes == ("takes too long to read: given up",)
    assert not children()


def children():
    """Processes that this one started and that still run."""
    listed = [int(one) for one in os.listdir("/proc") if one.isdigit()]
    return [one for one in listed if parent(one) == os.getpid()]


def parent(process):
    try:
        with open(f"/proc/{process}/stat") as stream:
            state, parent, *_ = stream.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(parent) if state != "Z" else None
