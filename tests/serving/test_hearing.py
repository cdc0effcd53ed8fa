"""Speech in a chat: written down by the packaged Whisper, and the answer says so."""

import base64
import importlib.util
from pathlib import Path

import pytest
from openai import BadRequestError
from tests.serving.conftest import png

from chiasm import weights
from chiasm.serving.hearing import Whisper

SAID = Path(__file__).parents[1] / "ingestion" / "said.ogg"
needed = pytest.mark.skipif(
    not weights.holds("whisper-base") or importlib.util.find_spec("faster_whisper") is None,
    reason="whisper-base is not fetched",
)


def spoken(data: bytes) -> list[dict]:
    part = {"data": base64.b64encode(data).decode(), "format": "ogg"}
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is said?"},
                {"type": "input_audio", "input_audio": part},
            ],
        }
    ]


@needed
def test_speech_is_read_as_the_words_that_were_said(client, services):
    found = client.chat.completions.create(
        model="tiny", messages=spoken(SAID.read_bytes()), max_tokens=3
    )
    assert found.notes == ["input_audio was transcribed by whisper-base"]
    words = services.media.words(SAID.read_bytes())
    written = [{"role": "user", "content": f"what is said?\n{words}"}]
    same = client.chat.completions.create(model="tiny", messages=written, max_tokens=3)
    assert same.choices[0].message.content == found.choices[0].message.content
    assert same.usage.prompt_tokens == found.usage.prompt_tokens


@needed
@pytest.mark.parametrize("data", [b"", b"RIFF", png(), SAID.read_bytes()[:90]])
def test_what_cannot_be_heard_is_refused(client, data):
    with pytest.raises(BadRequestError):
        client.chat.completions.create(model="tiny", messages=spoken(data), max_tokens=3)


def test_without_its_weights_nothing_is_heard(monkeypatch):
    monkeypatch.setattr(weights, "holds", lambda _: False)
    assert Whisper.found() is None
