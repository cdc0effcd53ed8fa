"""Answering: questions about a user's own media, and pictures drawn, from a checkpoint folder;
questions over a library, by pipelines whose every step is in a trace that replays offline.
"""

from chiasm.answering.ask import Asker
from chiasm.answering.desk import Question, Tools
from chiasm.answering.draw import Artist
from chiasm.answering.pipeline import answer, pipeline, pipelines, replay
from chiasm.answering.searchable import Searchable
from chiasm.answering.trace import Trace

__all__ = [
    "Artist",
    "Asker",
    "Question",
    "Searchable",
    "Tools",
    "Trace",
    "answer",
    "pipeline",
    "pipelines",
    "replay",
]
