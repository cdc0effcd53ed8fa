"""Which kind of file it is: by how it begins, and by its name where the beginning says nothing."""

from enum import StrEnum
from pathlib import PurePosixPath

from chiasm.data.media import SUFFIXES


class Format(StrEnum):
    IMAGE = "image"
    SVG = "svg"
    PDF = "pdf"
    SLIDES = "slides"
    WORDS = "words"
    """A word processor's document."""
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"
    CODE = "code"
    MEDIA = "media"
    """Sound or film; its streams tell."""


HEAD = 4096
"""Bytes of a file that are looked at."""

_BEGINS = (
    (b"\x89PNG\r\n\x1a\n", Format.IMAGE),
    (b"\xff\xd8\xff", Format.IMAGE),
    (b"GIF8", Format.IMAGE),
    (b"II*\0", Format.IMAGE),
    (b"MM\0*", Format.IMAGE),
    (b"fLaC", Format.MEDIA),
    (b"OggS", Format.MEDIA),
    (b"ID3", Format.MEDIA),
    (b"FLV\x01", Format.MEDIA),
    (b"\x1aE\xdf\xa3", Format.MEDIA),
    (b"\0\0\x01\xba", Format.MEDIA),
)
_RIFF = {b"WEBP": Format.IMAGE, b"WAVE": Format.MEDIA, b"AVI ": Format.MEDIA}
_STILLS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_PACKED = {".pptx": Format.SLIDES, ".docx": Format.WORDS}
_MEDIA = {
    *(".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav"),
    *(".weba", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv"),
    *(".ts", ".webm"),
}
_HTML = {".html", ".htm", ".xhtml"}
_MARKDOWN = {".md", ".markdown", ".mdown", ".mkd"}
LANGUAGES = {
    **{".py": "python", ".pyi": "python", ".ipynb": "notebook", ".r": "r", ".jl": "julia"},
    **{".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".hpp": "c++", ".cu": "cuda"},
    **{".rs": "rust", ".go": "go", ".java": "java", ".kt": "kotlin", ".scala": "scala"},
    **{".js": "javascript", ".mjs": "javascript", ".jsx": "javascript", ".vue": "vue"},
    **{".tsx": "typescript", ".cs": "c#", ".swift": "swift", ".m": "matlab", ".lua": "lua"},
    **{".rb": "ruby", ".php": "php", ".pl": "perl", ".sh": "shell", ".bash": "shell"},
    **{".ps1": "powershell", ".sql": "sql", ".css": "css", ".scss": "css", ".hs": "haskell"},
    **{".ml": "ocaml", ".ex": "elixir", ".erl": "erlang", ".clj": "clojure", ".dart": "dart"},
    **{".f90": "fortran", ".zig": "zig", ".proto": "protobuf", ".cmake": "cmake"},
}
"""Of code, by suffix; `.ts` is TypeScript only where it is text."""


def format_of(path: str, head: bytes) -> Format | None:
    """The format of a file that begins with `head`; None if it is not one that is read."""
    suffix = PurePosixPath(path).suffix.lower()
    binary = _by_beginning(head, suffix)
    if binary is not None:
        return binary
    if not is_text(head):
        # Damaged, or without a signature: the reader that the name asks for says what is wrong.
        if suffix in SUFFIXES:
            return Format.IMAGE
        return {".pdf": Format.PDF, ".svg": Format.SVG}.get(suffix) or (
            Format.MEDIA if suffix in _MEDIA else None
        )
    return _of_text(head, suffix)


def is_text(head: bytes) -> bool:
    """Whether bytes read as words: no control bytes, or the mark of UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not any(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in head)


def _by_beginning(head: bytes, suffix: str) -> Format | None:
    for start, found in _BEGINS:
        if head.startswith(start):
            return found
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return Format.MEDIA
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _STILLS else Format.MEDIA
    if b"%PDF-" in head[:1024]:
        return Format.PDF
    if head.startswith(b"PK\x03\x04"):
        return _PACKED.get(suffix)
    return None


def _of_text(head: bytes, suffix: str) -> Format | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if suffix == ".svg" or start.startswith(b"<svg") or (start[:5] == b"<?xml" and b"<svg" in head):
        return Format.SVG
    if suffix in _HTML or start.startswith((b"<!doctype html", b"<html")):
        return Format.HTML
    if suffix in _MARKDOWN:
        return Format.MARKDOWN
    if suffix in LANGUAGES or (suffix == ".ts" and head):
        return Format.CODE
    if suffix in SUFFIXES:
        return Format.IMAGE
    if suffix == ".pdf":
        return Format.PDF
    return Format.MEDIA if suffix in _MEDIA else Format.TEXT
