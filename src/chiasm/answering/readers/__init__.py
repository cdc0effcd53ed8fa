"""Readers: who answers what is asked about the evidence."""

from chiasm.answering.readers.extractive import Extractive
from chiasm.answering.readers.opened import open_reader
from chiasm.answering.readers.reader import Reader, Said

__all__ = ["Extractive", "Reader", "Said", "open_reader"]
