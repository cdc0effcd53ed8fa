"""How a transformers folder says that its images are cut, resized and normalised."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from chiasm.data.pixels import Pixels
from chiasm.errors import ChiasmError
from chiasm.spec import Answers, NativeResolution

_FILES = ("preprocessor_config.json", "processor_config.json")


def none(answers: Answers, folder: Path) -> Answers:
    """Nothing is looked at."""
    return answers


def one_size(answers: Answers, folder: Path) -> Answers:
    """Every image becomes one size, by the folder's recipe; as before if it states none.

    Raises:
        ChiasmError: a recipe that `Pixels` cannot express.
    """
    if not any((folder / name).is_file() for name in _FILES):
        return answers
    return replace(answers, pixels=Pixels.from_transformers(folder))


def squashed(answers: Answers, folder: Path) -> Answers:
    """Every view is squashed to the tower's size; colours and filter by the folder's recipe.

    Raises:
        ChiasmError: a damaged file, or one without colours and filter.
    """
    return _by_recipe(folder, lambda entries: replace(answers, pixels=_pixels(entries)), answers)


def longest_edge(answers: Answers, folder: Path) -> Answers:
    """Images keep their proportions, the longer edge as the folder says (Pixtral's processor).

    Raises:
        ChiasmError: a damaged file, or one without the longest edge.
    """

    def told(entries: Mapping[str, Any]) -> Answers:
        views: Any = answers.views
        views = replace(views, longest=int(entries["size"]["longest_edge"]))
        return replace(answers, views=views, pixels=replace(_pixels(entries), fit="native"))

    return _by_recipe(folder, told, answers)


def native(answers: Answers, folder: Path) -> Answers:
    """Images keep their proportions (Idefics2's processor); as before if the folder states none.

    Raises:
        ChiasmError: a damaged file, or one without the two edges.
    """

    def told(entries: Mapping[str, Any]) -> Answers:
        size = entries["size"]
        views = NativeResolution(
            longest=int(size["longest_edge"]),
            shortest=int(size["shortest_edge"]),
            split=bool(entries.get("do_image_splitting", False)),
        )
        return replace(answers, views=views, pixels=replace(_pixels(entries), fit="native"))

    return _by_recipe(folder, told, answers)


def _pixels(entries: Mapping[str, Any]) -> Pixels:
    return Pixels(
        mean=tuple(entries["image_mean"]),
        std=tuple(entries["image_std"]),
        resample=Image.Resampling(entries["resample"]).name.lower(),
    )


def _by_recipe(
    folder: Path, told: Callable[[Mapping[str, Any]], Answers], without: Answers
) -> Answers:
    """What `told` makes of the folder's image processor, `without` if the folder has none."""
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        return without
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told(entries.get("image_processor", entries))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ChiasmError(f"{path}: not a recipe that is read here ({reason:.120})") from None
