"""Random tiny folders of the classes that chiasm reads, to compare engines on."""

from chiasm.hub.tiny.folder import MAKERS, references, write

__all__ = ["MAKERS", "references", "write"]
