"""Speech in requests, written down by the packaged Whisper."""

import hashlib
import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chiasm import weights
from chiasm.errors import ChiasmError
from chiasm.ingestion.reading import File
from chiasm.ingestion.speech import transcribed
from chiasm.ingestion.streams import opened, windows

ALIAS = "whisper-base"
LONGEST = 600.0
"""Seconds that are listened to."""


@dataclass(frozen=True)
class Whisper:
    """faster-whisper on a folder of weights."""

    folder: Path
    name: str = ALIAS

    @classmethod
    def found(cls) -> "Whisper | None":
        """The packaged one, if it was fetched and all that it needs is installed."""
        needed = ("faster_whisper", "av")
        if not all(importlib.util.find_spec(one) for one in needed) or not weights.holds(ALIAS):
            return None
        return cls(weights.path(ALIAS))

    def transcribe(self, recording: bytes) -> str:
        """What is said, in one line.

        Raises:
            ChiasmError: not a recording that can be read, or nobody speaks.
        """
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "recording").write_bytes(recording)
            digest = hashlib.sha256(recording).hexdigest()
            file = File(root=Path(folder), path="recording", sha256=digest, size=len(recording))
            with opened(file) as container:
                if not container.streams.audio:
                    raise ChiasmError("input_audio: holds no sound; send a recording")
                spans, _ = transcribed(windows(container, LONGEST), self.folder)
        if not spans:
            raise ChiasmError("input_audio: nobody speaks in it; send speech, or text")
        return " ".join(span.text for span in spans)
