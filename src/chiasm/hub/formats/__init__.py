"""The transformers formats that chiasm reads and writes: one file a format, and their registry."""

from chiasm.hub.formats.format import Format
from chiasm.hub.formats.registry import format_of, formats, opened, written

__all__ = ["Format", "format_of", "formats", "opened", "written"]
