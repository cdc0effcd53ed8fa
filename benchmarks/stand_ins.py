"""Stand-ins for packages that annotate or read pictures, where they are not installed.

A machine with torch and transformers alone can then import the engine: `jaxtyping` only writes
shapes down, and Pillow opens files, of which the benchmarks have none. Importing this module puts
them in place; what is installed is used as it is.
"""

import importlib.util
import sys
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any

FILTERS = "NEAREST BOX BILINEAR HAMMING BICUBIC LANCZOS"


class _Anything(type):
    """A class of which every name is there."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (Exception,), {})

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __getitem__(cls, item: Any) -> Any:
        """`Float[Tensor, "batch token"]` is the tensor."""
        return item[0] if isinstance(item, tuple) else item


class _Nothing(ModuleType):
    """A module of which every name is there, and does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (Exception,), {})


def stand_in(package: str, *modules: str) -> None:
    """Put an empty package in place if there is none."""
    if importlib.util.find_spec(package) is not None:
        return
    whole = sys.modules[package] = _Nothing(package)
    whole.__path__ = []
    for name in modules:
        part = sys.modules[f"{package}.{name}"] = _Nothing(f"{package}.{name}")
        setattr(whole, name, part)
        if name == "Image":
            # The engine lists these names; a picture is never resized.
            part.__dict__["Resampling"] = Enum("Resampling", FILTERS)


def put_in_place() -> None:
    """Transformers looks for Pillow by itself: it is asked first, and then finds none."""
    importlib.import_module("transformers.utils.import_utils").is_vision_available()
    stand_in("jaxtyping")
    stand_in("PIL", "Image", "ImageDraw", "ImageFont", "ImageOps")


put_in_place()
