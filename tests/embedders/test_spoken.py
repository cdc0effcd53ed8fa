"""Speech and other languages: Whisper's states as CTranslate2 gives them, and who is found."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from chiasm import weights
from chiasm.data.pairs import Pair, split_of, stamps
from chiasm.data.views import picture
from chiasm.embedders import foreign, spoken
from chiasm.embedders.foreign import Foreign
from chiasm.embedders.grams import Grams, row_numbers
from chiasm.embedders.house import House
from chiasm.embedders.spoken import Spoken
from chiasm.embedders.whisper import RATE, STEP, WINDOW, SpeechEncoder
from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion.streams import samples
from chiasm.retrieval import Item, Role

needs_whisper = pytest.mark.skipif(
    not weights.holds(spoken.SPEECH), reason=f"{spoken.SPEECH} is not fetched"
)
needs_stamps = pytest.mark.skipif(not weights.holds("stamps"), reason="stamps are not fetched")
needs_sound = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="av is missing")
SAID = Path(__file__).parents[1] / "ingestion" / "said.ogg"
HELD = 61
"""Held-out captions that are asked for, among as many pictures."""


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return SpeechEncoder.open(weights.path(spoken.SPEECH))


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return samples(SAID)


@pytest.fixture(scope="module")
def held() -> list[Pair]:
    """Stamps whose captions were not taught, each with a caption of its own, all spoken."""
    wanted = set(spoken.LANGUAGES)
    known = {pair.concept: pair for pair in stamps.pairs() if wanted <= set(pair.spoken)}
    new = [pair for name, pair in sorted(known.items()) if split_of(name) == "test"]
    # From all over the alphabet: neighbours in it are often of one kind.
    return new[:: len(new) // HELD][:HELD]


@pytest.fixture(scope="module")
def seen(held: list[Pair]) -> torch.Tensor:
    drawn = [picture(pair.picture) for pair in held]
    items = [Item(image=one) for one in drawn]
    return House.open().embed(items, role=Role.DOCUMENT).unit()


def first_five(asked: torch.Tensor, seen: torch.Tensor) -> float:
    """The share of queries whose own picture is among the first five."""
    best = (F.normalize(asked, dim=-1) @ seen.T).topk(5).indices
    return (best == torch.arange(len(asked))[:, None]).any(1).float().mean().item()


@needs_whisper
@pytest.mark.skipif(
    importlib.util.find_spec("ctranslate2") is None, reason="ctranslate2 is missing"
)
def test_thirty_seconds_are_ctranslate2_s(encoder: SpeechEncoder, voice: np.ndarray) -> None:
    """The slow reference reads 30 s whatever the clip; so a clip of 30 s is compared."""
    import ctranslate2

    full = np.resize(voice, WINDOW)
    mel = encoder.mel(full, sampling_rate=RATE, padding=False, return_tensors="np").input_features
    model = ctranslate2.models.Whisper(
        str(weights.path(spoken.SPEECH)), compute_type="float32", intra_threads=1
    )
    told = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel)))
    expected = torch.from_numpy(np.array(told))[0]
    found = encoder.states(full)
    assert found.shape == expected.shape == (WINDOW // STEP, 512)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=3e-3)


@needs_whisper
@needs_sound
def test_a_short_window_changes_little(encoder: SpeechEncoder, voice: np.ndarray) -> None:
    clip = voice[: 17 * RATE // 10]
    padded = np.pad(clip, (0, WINDOW - clip.size))
    short, long = encoder.states(clip), encoder.states(padded)[: round(clip.size / STEP)]
    assert short.shape == (85, 512)
    assert F.cosine_similarity(short.mean(0), long.mean(0), dim=0) > 0.85


@needs_whisper
@needs_sound
def test_clips_do_not_depend_on_each_other(encoder: SpeechEncoder, voice: np.ndarray) -> None:
    clips = [voice[: RATE + 1009 * at] for at in range(3)]
    together = encoder.pooled(clips)
    alone = torch.cat([encoder.pooled([clip]) for clip in clips])
    assert torch.equal(together, alone)


@needs_whisper
def test_what_is_no_sound_is_refused(encoder: SpeechEncoder, tmp_path: Path) -> None:
    for bad in (np.zeros(0), np.zeros((2, 31)), np.array([0.5, np.nan])):
        with pytest.raises(Misuse, match="is no sound"):
            encoder.states(bad)
    with pytest.raises(ChiasmError, match="no CTranslate2 model"):
        SpeechEncoder.open(tmp_path)


@needs_whisper
def test_a_single_sample_is_a_clip(encoder: SpeechEncoder) -> None:
    found = encoder.states(np.zeros(1, np.float32))
    assert found.shape == (1, 512)
    assert bool(found.isfinite().all())


@needs_whisper
@needs_stamps
@needs_sound
def test_held_out_speech_finds_its_picture(held: list[Pair], seen: torch.Tensor) -> None:
    """Among 61 pictures 8% would be by chance."""
    hearing = Spoken.open()
    clips = [samples(pair.spoken["fr"]) for pair in held]
    assert first_five(hearing.embed(clips).vectors, seen) > 2 * 5 / HELD


@needs_stamps
def test_held_out_captions_find_their_picture(held: list[Pair], seen: torch.Tensor) -> None:
    reading = Foreign.open()
    for language in foreign.LANGUAGES:
        texts = [pair.translations[language] for pair in held]
        assert first_five(reading.embed(texts).vectors, seen) > 2 * 5 / HELD, language


def test_languages_meet() -> None:
    """Of five things, the nearest in another language is the same one."""
    said = {
        "fr": ("un chat", "une maison", "un arbre", "une voiture", "le soleil"),
        "es": ("un gato", "una casa", "un árbol", "un coche", "el sol"),
        "ru": ("кошка", "дом", "дерево", "автомобиль", "солнце"),
    }
    read = {language: Foreign.open().embed(words).vectors for language, words in said.items()}
    for one, other in (("fr", "es"), ("fr", "ru"), ("es", "ru")):
        best = (read[one] @ read[other].T).argmax(1)
        assert (best == torch.arange(5)).sum() >= 4, (one, other, best)


def test_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misuse, match="no text"):
        Foreign.open().embed([])
    monkeypatch.setattr(foreign, "WEIGHTS", tmp_path / "absent.safetensors")
    with pytest.raises(ChiasmError, match=r"absent\.safetensors"):
        Foreign.open()


def test_runs_of_letters() -> None:
    rows = 1_000_003
    both = set(row_numbers("Chat", rows)) & set(row_numbers("des chats", rows))
    # <ch, cha, hat; <cha, chat; <chat
    assert len(both) == 6
    assert row_numbers("CHAT", rows) == row_numbers("chat!", rows)
    assert len(row_numbers("", rows)) == len(row_numbers("?!", rows)) == 1


def test_a_text_s_vector_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    grams = Grams(101, 7, 5, hidden=11).eval()
    texts = ["un chat", "", "пять красных яблок", "x"]
    torch.testing.assert_close(grams(texts), torch.cat([grams([text]) for text in texts]))
