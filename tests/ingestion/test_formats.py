"""Which reader a file is for: its first bytes before its name."""

import pytest

from chiasm.ingestion.formats import Format, format_of

PNG = b"\x89PNG\r\n\x1a\n"
CASES = [
    ("a.png", PNG, Format.IMAGE),
    ("a.txt", PNG, Format.IMAGE),
    ("a", b"\xff\xd8\xff\xe0", Format.IMAGE),
    ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", Format.IMAGE),
    ("a.wav", b"RIFF\x10\0\0\0WAVEfmt ", Format.MEDIA),
    ("a.avi", b"RIFF\x10\0\0\0AVI LIST", Format.MEDIA),
    ("a.bmp", b"BM\x1a\0\0\0\0\0", Format.IMAGE),
    ("a.png", b"garbage\0\x01", Format.IMAGE),
    ("a.png", b"just words", Format.IMAGE),
    ("a.pdf", b"%PDF-1.7\n", Format.PDF),
    ("a.bin", b"\n\n%PDF-1.7\n", Format.PDF),
    ("a.pdf", b"\0\0\0", Format.PDF),
    ("a.svg", b"<svg>", Format.SVG),
    ("a.xml", b"<?xml version='1.0'?><svg>", Format.SVG),
    ("a.xml", b"<?xml version='1.0'?><note>", Format.TEXT),
    ("a.pptx", b"PK\x03\x04", Format.SLIDES),
    ("a.docx", b"PK\x03\x04", Format.WORDS),
    ("a.zip", b"PK\x03\x04", None),
    ("a.html", b"<p>hello", Format.HTML),
    ("a", b"\xef\xbb\xbf <!DOCTYPE html>", Format.HTML),
    ("a.MD", b"# hello", Format.MARKDOWN),
    ("a.py", b"x = 1", Format.CODE),
    ("a.ts", b"let x = 1", Format.CODE),
    ("a.ts", b"G\x40\0\x10\0\0", Format.MEDIA),
    ("a.log", b"line\n\x1b[31mred", Format.TEXT),
    ("README", "héllo".encode("utf-16"), Format.TEXT),
    ("a.mp4", b"\0\0\0\x20ftypisom", Format.MEDIA),
    ("a.heic", b"\0\0\0\x20ftypheic", None),
    ("a.mkv", b"\x1aE\xdf\xa3", Format.MEDIA),
    ("a.mp4", b"#EXTM3U\n", Format.MEDIA),
    ("a.exe", b"MZ\x90\0\x03\0", None),
]


@pytest.mark.parametrize(("path", "head", "wanted"), CASES)
def test_format_of(path, head, wanted):
    assert format_of(path, head) is wanted
