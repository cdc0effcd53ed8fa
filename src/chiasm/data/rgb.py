"""Any picture mode to 8-bit RGB, and a remark for every conversion that changed what is seen.

Deep modes are scaled, never clipped; transparency is laid on white, as transformers does.
"""

import numpy as np
from PIL import Image, ImageOps

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_PLAIN = {
    "CMYK": "CMYK, converted to RGB without its colour profile",
    "YCbCr": "YCbCr, converted to RGB",
    "HSV": "HSV, converted to RGB",
    "1": "1-bit, widened to RGB",
    "P": "palette colours, expanded to RGB",
}


def to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """The first frame of an opened image as RGB, and what was done to it; decodes the pixels.

    Raises whatever Pillow raises on damaged data or on a mode it cannot convert.
    """
    remarks = []
    if sixteen := any(";16" in str(tile) for tile in getattr(image, "tile", ())):
        remarks.append("16 bits a channel, scaled to 8")
    image.load()
    if image.mode.startswith("I;16"):
        return _grey16(image), ["16-bit grey, scaled to 8 bits"]
    if image.mode in ("I", "F"):
        grey, remark = _stretched(image)
        return grey, [remark]
    if image.has_transparency_data:
        return _on_white(image, remarks)
    if image.mode in _PLAIN and not sixteen:
        remarks.append(_PLAIN[image.mode])
    return image.convert("RGB"), remarks


def _on_white(image: Image.Image, remarks: list[str]) -> tuple[Image.Image, list[str]]:
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() == (255, 255):
        return rgba.convert("RGB"), [*remarks, f"{image.mode}, its opaque alpha channel dropped"]
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    return white.convert("RGB"), [*remarks, f"{image.mode}, its transparency laid on white"]


def _grey16(image: Image.Image) -> Image.Image:
    """16-bit (or, in a TIFF, 12-bit) grey, its full range mapped linearly to 0..255."""
    tags = getattr(image, "tag_v2", {})
    top = 2 ** max(tags.get(_BITS_PER_SAMPLE, (16,))) - 1
    table = np.minimum(np.rint(np.arange(2**16) * (255 / top)), 255).astype(np.uint8)
    values = np.asarray(image)
    grey = table[values]
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _stretched(image: Image.Image) -> tuple[Image.Image, str]:
    """32-bit grey: a known range (0..1, 0..255 or 0..65535) as such, any other from low to high."""
    values = np.nan_to_num(np.asarray(image), nan=0.0)
    finite = values[np.abs(values) < np.finfo(np.float32).max] if image.mode == "F" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    known = (1.0, 255.0) if image.mode == "F" else (65535.0,)
    low, high = next(((0.0, top) for top in known if low >= 0 and high <= top), (low, high))
    scaled = (np.clip(values, low, high).astype(np.float32) - low) * (255 / ((high - low) or 1.0))
    grey = Image.fromarray(np.rint(scaled).astype(np.uint8))
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = ImageOps.invert(grey)
    kind = "floating point" if image.mode == "F" else "32-bit whole numbers"
    return grey.convert("RGB"), f"{kind}, {low:g} to {high:g} scaled to 8 bits"
