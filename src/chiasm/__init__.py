"""chiasm: multimodal models as written answers to eight questions.

Names are imported when first used, so that `import chiasm` stays light.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chiasm.assemble import build
    from chiasm.compressing import compress
    from chiasm.cost.count import count
    from chiasm.hub.read import load
    from chiasm.spec.registry import system

_LAZY = {
    "build": ("chiasm.assemble", "build"),
    "compress": ("chiasm.compressing", "compress"),
    "count": ("chiasm.cost.count", "count"),
    "load": ("chiasm.hub.read", "load"),
    "system": ("chiasm.spec.registry", "system"),
}

try:
    __version__ = version("chiasm")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0"

__all__ = ["__version__", "build", "compress", "count", "load", "system"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'chiasm' has no attribute {name!r}")
    module, held = _LAZY[name]
    return getattr(import_module(module), held)


def __dir__() -> list[str]:
    return __all__
