"""A folder's files as units: read, recognised, transcribed."""

from chiasm.ingestion.read import key_of, read
from chiasm.ingestion.reading import File, Limits, Options, Reading
from chiasm.ingestion.walk import Walk, walk

__all__ = ["File", "Limits", "Options", "Reading", "Walk", "key_of", "read", "walk"]
