"""The transformers formats that chiasm reads and writes: one file a format, and their registry."""

from chiasm.hub.formats.format import Format, SpecialTokens
from chiasm.hub.formats.registry import format_of, formats, opened, written

__all__ = ["Format", "SpecialTokens", "format_of", "formats", "opened", "written"]
