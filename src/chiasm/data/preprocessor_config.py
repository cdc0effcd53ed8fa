"""The preprocessing recipe of a transformers checkpoint, read from its JSON without its code."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from chiasm.data.pixels import Fit, Pixels
from chiasm.errors import ChiasmError

_FILES = ("preprocessor_config.json", "processor_config.json")


def read_pixels(folder: Path) -> Pixels:
    """The `Pixels` equal to the folder's image processor.

    Raises ChiasmError, naming the file and the entry, for a recipe `Pixels` cannot express.
    """
    path, config = _read(folder)
    if (
        not config.get("do_rescale", True)
        or abs(config.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6
    ):
        raise _unsupported(path, config, "do_rescale", "rescale_factor")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if config.get("do_normalize", True):
        mean, std = _triple(path, config, "image_mean"), _triple(path, config, "image_std")
    if not config.get("do_resize", True):
        return Pixels(mean=mean, std=std, fit="native")
    fit, size, fraction = _geometry(path, config)
    resample = Image.Resampling(config.get("resample", Image.Resampling.BICUBIC)).name.lower()
    return Pixels(mean=mean, std=std, fit=fit, resample=resample, size=size, crop_fraction=fraction)


def _geometry(path: Path, config: dict[str, Any]) -> tuple[Fit, tuple[int, int], float]:
    """(fit, (height, width), crop fraction) of the resize and crop entries."""
    crops = config.get("do_center_crop", False)
    size = config.get("size")
    if isinstance(size, int):
        size = {"shortest_edge": size} if crops else {"height": size, "width": size}
    if not isinstance(size, dict):
        raise _unsupported(path, config, "size")
    if config.get("do_pad") and config.get("image_processor_type", "").startswith("Llava"):
        side = size.get("shortest_edge") or size.get("height")
        if side is None or side != size.get("width", side):
            raise _unsupported(path, config, "do_pad", "size")
        return "pad", (side, side), 1.0
    if set(size) == {"height", "width"} and not crops:
        return "squash", (size["height"], size["width"]), 1.0
    cut = config.get("crop_size", size.get("shortest_edge"))
    cut = {"height": cut, "width": cut} if isinstance(cut, int) else cut
    if set(size) == {"shortest_edge"} and crops and isinstance(cut, dict):
        side = cut.get("height")
        if side and side == cut.get("width") and side <= size["shortest_edge"]:
            return "shortest-crop", (side, side), side / size["shortest_edge"]
    raise _unsupported(path, config, "size", "do_center_crop", "crop_size")


def _read(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise ChiasmError(f"{folder}: has no {' or '.join(_FILES)}; point at a checkpoint folder")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ChiasmError(f"{path}: not readable as JSON ({error}); download it again") from None
    if isinstance(config, dict):
        config = config.get("image_processor", config)
    if not isinstance(config, dict):
        raise ChiasmError(f"{path}: holds no preprocessing entries; download it again")
    return path, config


def _triple(path: Path, config: dict[str, Any], key: str) -> tuple[float, float, float]:
    value = config.get(key)
    if isinstance(value, int | float):
        value = [value] * 3
    if not isinstance(value, list) or len(value) != 3:
        raise _unsupported(path, config, key)
    red, green, blue = (float(entry) for entry in value)
    return red, green, blue


def _unsupported(path: Path, config: dict[str, Any], *keys: str) -> ChiasmError:
    said = ", ".join(f"{key} = {config.get(key)!r}" for key in keys)
    return ChiasmError(
        f"{path}: {said} is not a plain resize, pad or centre crop of RGB; write the Pixels by hand"
    )
