"""Checkpoints in and out: transformers' folders and chiasm's own, read strictly, written whole."""

from chiasm.hub.checkpoint import Checkpoint, open_checkpoint
from chiasm.hub.folder import read_record, save
from chiasm.hub.module import KeywordModel
from chiasm.hub.read import load
from chiasm.hub.vision import VisionModel
from chiasm.hub.write import export, exportable

__all__ = [
    "Checkpoint",
    "KeywordModel",
    "VisionModel",
    "export",
    "exportable",
    "load",
    "open_checkpoint",
    "read_record",
    "save",
]
