"""The preprocessing recipe of a transformers checkpoint, read from its JSON without its code."""

import json
import math
from pathlib import Path
from typing import Any

from PIL import Image

from chiasm.data.pixels import Fit, Pixels
from chiasm.errors import ChiasmError

_RESCALE = 1 / 255
_FILTERS = {str(int(filter)): filter.name.lower() for filter in Image.Resampling}
_FILES = ("preprocessor_config.json", "processor_config.json")


def read_pixels(folder: Path) -> Pixels:
    """The `Pixels` equal to the folder's image processor.

    Raises ChiasmError, naming the file and the entry, for a recipe `Pixels` cannot express.
    """
    path, config = _read(folder)
    factor = config.get("rescale_factor", _RESCALE)
    if not config.get("do_rescale", True) or not _close(factor, _RESCALE):
        raise _unsupported(path, config, "do_rescale", "rescale_factor")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if config.get("do_normalize", True):
        mean, std = _triple(path, config, "image_mean"), _triple(path, config, "image_std")
    if not config.get("do_resize", True):
        return Pixels(mean=mean, std=std, fit="native")
    fit, size, fraction = _geometry(path, config)
    resample = _FILTERS.get(str(config.get("resample", int(Image.Resampling.BICUBIC))))
    if resample is None:
        raise _unsupported(path, config, "resample")
    return Pixels(mean=mean, std=std, fit=fit, resample=resample, size=size, crop_fraction=fraction)


def _geometry(path: Path, config: dict[str, Any]) -> tuple[Fit, tuple[int, int], float]:
    """(fit, (height, width), crop fraction) of the resize and crop entries."""
    crops = config.get("do_center_crop", False)
    size = _sides(config.get("size"), "shortest_edge" if crops else "")
    cut = _sides(config.get("crop_size", config.get("size")), "")
    if config.get("do_pad") and str(config.get("image_processor_type")).startswith("Llava"):
        sides = {*size.values(), *(cut.values() if crops else ())}
        if len(sides) != 1:
            raise _unsupported(path, config, "do_pad", "size", "crop_size")
        side = sides.pop()
        return "pad", (side, side), 1.0
    if set(size) == {"height", "width"} and not crops:
        return "squash", (size["height"], size["width"]), 1.0
    if set(size) == {"shortest_edge"} and crops and len(set(cut.values())) == 1:
        side, short = next(iter(cut.values())), size["shortest_edge"]
        if side <= short:
            return "shortest-crop", (side, side), side / short
    raise _unsupported(path, config, "size", "do_center_crop", "crop_size")


def _sides(size: Any, single: str) -> dict[str, int]:
    """A size entry by its names; one number stands for `single`, or for height and width."""
    if isinstance(size, int):
        size = {single: size} if single else {"height": size, "width": size}
    if not isinstance(size, dict):
        return {}
    sides = {name: side for name, side in size.items() if side is not None}
    return sides if all(isinstance(side, int) and side > 0 for side in sides.values()) else {}


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
    red, green, blue = value
    if not all(isinstance(entry, int | float) for entry in value):
        raise _unsupported(path, config, key)
    return float(red), float(green), float(blue)


def _close(value: Any, wanted: float) -> bool:
    return isinstance(value, int | float) and math.isclose(value, wanted, rel_tol=1e-6)


def _unsupported(path: Path, config: dict[str, Any], *keys: str) -> ChiasmError:
    said = ", ".join(f"{key} = {config.get(key)!r}" for key in keys)
    return ChiasmError(
        f"{path}: {said} is not a plain resize, pad or centre crop of RGB; write the Pixels by hand"
    )
