"""Every spoken caption of the stamps through Whisper's encoder, once; and Whisper's own words."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from chiasm import weights
from chiasm.data.pairs import Pair
from chiasm.embedders.spoken import SPEECH
from chiasm.embedders.whisper import SpeechEncoder
from chiasm.errors import ChiasmError
from chiasm.ingestion.streams import samples


def encoded_speech(
    stamps: Sequence[Pair], language: str, folder: Path
) -> tuple[list[int], torch.Tensor]:
    """Which stamps are spoken, and the pooled states `[clip, width]`; kept in `folder`."""
    path = folder / f"{language}.safetensors"
    if not path.is_file():
        encoder, spoken, found = SpeechEncoder.open(weights.path(SPEECH)), [], []
        for at, pair in enumerate(stamps):
            if language not in pair.spoken:
                continue
            try:
                found.append(encoder.pooled([samples(pair.spoken[language])]))
            except ChiasmError as error:
                print(f"left out: {error}")
                continue
            spoken.append(at)
            if len(spoken) % 100 == 0:
                print(f"{language}: {len(spoken)} clips encoded", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"stamps": torch.tensor(spoken), "features": torch.cat(found).half()}, path)
    held = load_file(path)
    return held["stamps"].tolist(), held["features"].float()


def written_down(stamps: Sequence[Pair], chosen: Sequence[int], folder: Path) -> list[str]:
    """What Whisper hears in the chosen English clips; kept in `folder`."""
    path = folder / "en-written.json"
    held: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    missing = [at for at in chosen if stamps[at].id not in held]
    if missing:
        from faster_whisper import WhisperModel

        model = WhisperModel(
            str(weights.path(SPEECH)), device="cpu", compute_type="int8", cpu_threads=1
        )
        for at in missing:
            heard = samples(stamps[at].spoken["en"])
            found, _ = model.transcribe(heard, language="en", condition_on_previous_text=False)
            held[stamps[at].id] = " ".join(one.text.strip() for one in found)
        path.write_text(json.dumps(held, indent=1, ensure_ascii=False))
    return [held[stamps[at].id] for at in chosen]
