"""Reading pictures: the header is checked before any pixel is decoded, and Pillow's surprises end
here as one-line errors.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from chiasm.data.rgb import to_rgb
from chiasm.data.source import MAX_BYTES, Source, opened, printable
from chiasm.errors import ChiasmError, Misuse

MAX_PIXELS = 2**26
"""Height times width accepted from one image (8192 x 8192), unless the caller says otherwise."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
}

_ORIENTATION = 0x0112
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_quiet_lock = threading.Lock()


def read_image(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    notes: list[str] | None = None,
) -> Image.Image:
    """The image in RGB, upright (EXIF orientation applied), first frame only.

    `source` is a path, bytes, a binary file object (left where it was, if it can seek), a base64
    data URI, or '-' for standard input. `max_pixels` caps height times width and is checked on the
    header; `max_bytes` caps the encoded size. Every conversion appends one line to `notes`.
    Raises Misuse (missing file, folder, remote address) or ChiasmError (empty, damaged, not an
    image, above a cap), naming the source.
    """
    with opened(source, max_bytes) as (name, stream):
        image, orientation, remarks = _header(name, stream, max_pixels)
        with image:
            try:
                # TIFF tags are parsed again after the pixels, and may warn again.
                with _quiet() if image.format == "TIFF" else nullcontext():
                    rgb, converted = to_rgb(image)
            except MemoryError:
                raise ChiasmError(
                    f"{name}: not enough memory for {image.width:,} x {image.height:,} pixels; "
                    f"shrink it"
                ) from None
            except Exception as error:
                raise ChiasmError(
                    f"{name}: damaged or truncated {image.format} "
                    f"({printable(str(error)) or type(error).__name__}); save or download it again"
                ) from None
    if orientation in _TURN:
        rgb = rgb.transpose(_TURN[orientation])
    if notes is not None:
        notes.extend(f"{name}: {remark}" for remark in (*remarks, *converted))
    return rgb


def image_size(
    source: Source, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> tuple[int, int]:
    """(height, width) in pixels of what `read_image` would give, from the header alone.

    Refuses what `read_image` refuses on the header, with the same errors. Standard input is
    consumed.
    """
    with opened(source, max_bytes) as (name, stream):
        image, orientation, _ = _header(name, stream, max_pixels)
        with image:
            width, height = image.size
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def list_images(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """Image files of a folder (by suffix, hidden ones left out), sorted by path."""
    root = Path(folder)
    if not root.exists():
        raise Misuse(f"{printable(str(root))}: no such folder; check the path")
    if not root.is_dir():
        raise Misuse(f"{printable(str(root))}: is a file, not a folder; name the folder it is in")
    found = []
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _header(name: str, stream: BinaryIO, max_pixels: int) -> tuple[Image.Image, int, list[str]]:
    """The lazily opened image, the orientation still to be applied (1: none), and remarks."""
    start = stream.read(8)
    stream.seek(0)
    try:
        with _quiet():
            image = Image.open(stream, formats=FORMATS)
            _check_pixels(name, image, max_pixels)
            orientation, remarks = _orientation(image)
            remarks = _several(image) + remarks
    except ChiasmError:
        raise
    except Image.DecompressionBombError as error:
        raise ChiasmError(
            f"{name}: refused before decoding ({error}; the cap is {max_pixels:,}); shrink it"
        ) from None
    except UnidentifiedImageError:
        raise ChiasmError(
            f"{name}: not a readable {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image "
            f"(it begins with {start!r}); convert it or save it again"
        ) from None
    except Exception as error:
        raise ChiasmError(
            f"{name}: damaged header ({printable(str(error)) or type(error).__name__}); "
            f"save or download it again"
        ) from None
    return image, orientation, remarks


def _check_pixels(name: str, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ChiasmError(
            f"{name}: {width:,} x {height:,} is {width * height:,} pixels, above the cap of "
            f"{max_pixels:,}; shrink it or raise max_pixels"
        )


def _orientation(image: Image.Image) -> tuple[int, list[str]]:
    """EXIF orientation, from the header alone. Pillow itself turns TIFF, header and pixels."""
    try:
        # The base method: PngImageFile's own would decode the pixels to look behind them.
        value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:
        return 1, ["unreadable EXIF data, so no rotation is applied"]
    if value not in _TURN:
        return 1, []
    return (1 if image.format == "TIFF" else value), [f"turned upright (EXIF orientation {value})"]


def _several(image: Image.Image) -> list[str]:
    count = getattr(image, "n_frames", 1)
    if count < 2:
        return []
    if image.format in ("TIFF", "MPO"):
        return [f"holds {count} pictures; only the first is used"]
    return [f"animated, {count} frames; only the first is used"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow's warnings stay inside; filters are process-wide, so one thread at a time."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
