"""Sound and film: what is said, what is seen, and when."""

import io
import wave

import av
import numpy as np
import pytest
from PIL import Image

from chiasm import weights
from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion import Options, read
from chiasm.ingestion.scenes import scenes
from chiasm.ingestion.streams import samples
from chiasm.retrieval.unit import Kind

SPEECH = "whisper-base"
speaks = pytest.mark.skipif(not weights.holds(SPEECH), reason=f"{SPEECH} is not fetched")


def sound(samples, rate=8_000):
    into = io.BytesIO()
    with wave.open(into, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16).tobytes())
    return into.getvalue()


def film(colours, *, seconds=2, rate=5, size=(64, 48), spoken=None):
    """Each colour for so many seconds, in MP4, with a voice under it if one is given."""
    into = io.BytesIO()
    with av.open(into, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        voice = out.add_stream("aac", rate=48_000) if spoken else None
        for colour in colours:
            for _ in range(seconds * rate):
                frame = av.VideoFrame.from_image(Image.new("RGB", size, colour))
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if voice is not None:
            with av.open(str(spoken)) as source:
                for frame in source.decode(audio=0):
                    frame.pts = None
                    out.mux(voice.encode(frame))
            out.mux(voice.encode(None))
    return into.getvalue()


@pytest.fixture
def hears():
    return Options(ocr=False, speech=weights.path(SPEECH))


def colour(unit):
    return Image.open(io.BytesIO(unit.picture)).convert("RGB").getpixel((20, 20))


def test_a_recording_without_speech_is_found_by_its_name(units):
    tone = np.sin(np.arange(8_000 * 3) / 5) / 4
    [unit] = units("sounds/door_bell.wav", sound(tone))
    assert (unit.kind, unit.title, unit.text) == (Kind.AUDIO, "door bell", "")
    assert (unit.start, unit.end) == (0.0, 3.0)
    assert unit.metadata == {"format": "wav", "duration": 3.0}


@speaks
@pytest.mark.slow
def test_what_is_said_and_when(made, hears, said):
    [unit] = read(made("call.ogg", said.read_bytes()), hears).units
    assert "heating pump" in unit.text and "pressure valve" in unit.text
    assert unit.kind is Kind.AUDIO and unit.metadata["language"] == "en"
    first, *_, last = unit.spans
    assert unit.start == round(first.start, 3) and "pump" in first.text and "valve" in last.text
    assert 0 <= first.start < first.end <= last.start + 0.5 and last.end < 7.5


@speaks
def test_silence_says_nothing(made, hears):
    generator = np.random.default_rng(0)
    [unit] = read(made("hum.wav", sound(generator.normal(0, 0.02, 8_000 * 4))), hears).units
    assert unit.text == "" and "language" not in unit.metadata


def test_a_film_is_cut_where_it_changes(units):
    found = units("clips/traffic_light.mp4", film(["red", "lime", "blue"]))
    assert [unit.kind for unit in found] == [Kind.VIDEO] * 3
    assert [unit.start for unit in found] == [0.0, 2.0, 4.0]
    assert [unit.end for unit in found] == [2.0, 4.0, 6.0]
    seen = [colour(unit) for unit in found]
    assert [max(range(3), key=lambda at, one=one: one[at]) for one in seen] == [0, 1, 2]
    assert {unit.title for unit in found} == {"traffic light"}


def test_a_long_scene_is_cut_too():
    still = Image.new("RGB", (32, 32))
    found, broken = scenes(((float(second), still) for second in range(71)), 71.0)
    assert [(one.start, one.end) for one in found] == [(0, 30), (30, 60), (60, 71)] and not broken


@speaks
@pytest.mark.slow
def test_what_is_said_in_a_film_is_found_where_it_is_said(made, hears, said):
    found = read(made("a.mp4", film(["red", "blue"], seconds=4, spoken=said)), hears).units
    assert "pump" in found[0].text and "valve" in found[1].text
    assert "valve" not in found[0].text


def test_a_truncated_film_keeps_what_came_before(made, plainly):
    generator = np.random.default_rng(0)
    noise = io.BytesIO()
    with av.open(noise, "w", format="mpegts") as out:
        stream = out.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(100):
            pixels = generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    whole = noise.getvalue()
    reading = read(made("a.ts", whole[: len(whole) // 2]), plainly)
    assert reading.units and reading.units[-1].end < 3
    half = film(["red"])
    reading = read(made("b.mp4", half[: len(half) // 2]), plainly)
    assert not reading.units and "can be read" in reading.notes[0]


@pytest.mark.parametrize("name", ["a.mp4", "a.wav", "a.ts", "a.mkv"])
def test_a_playlist_opens_nothing(made, plainly, tmp_path, name):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(sound(np.zeros(8_000)))
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
    ):
        reading = read(made(name, text), plainly)
        assert not any(unit.kind is Kind.AUDIO for unit in reading.units)
        assert str(tmp_path) not in " ".join(reading.notes)


def test_samples_are_the_whole_of_a_recording(tmp_path):
    wave_ = np.sin(np.arange(8_000 * 3) / 9) / 2
    place = tmp_path / "tone.wav"
    place.write_bytes(sound(wave_))
    heard = samples(place)
    assert heard.dtype == np.float32
    assert abs(heard.size - 48_000) <= 1
    assert abs(float(np.abs(heard).max()) - 0.5) < 0.02
    with pytest.raises(Misuse, match="no such file"):
        samples(tmp_path / "absent.wav")
    place.write_bytes(b"not a sound")
    with pytest.raises(ChiasmError, match=r"tone\.wav: no sound or film"):
        samples(place)
    place.write_bytes(sound(np.zeros(0)))
    with pytest.raises(ChiasmError, match="holds no sound"):
        samples(place)
