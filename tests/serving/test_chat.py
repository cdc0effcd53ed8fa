"""Chats through OpenAI's own client: what is said is what `chiasm ask` says."""

import json

import httpx
import pytest
from openai import BadRequestError, NotFoundError
from tests.serving.conftest import COLOURS, CONTEXT, QUESTION, complaint, png, served, uri

from chiasm.answering.ask import Asker
from chiasm.data.example import Example, Turn
from chiasm.data.media import read_image
from chiasm.decoding import Sampling, generate
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings


def said(chatter, question, *pictures: bytes, **how) -> str:
    """The slow reference: what the asker says, all at once."""
    return chatter.asker.answer(question, [uri(one) for one in pictures], **how).text


def asked(client, content, **how):
    messages = content if isinstance(content[0], dict) and "role" in content[0] else None
    messages = messages or [{"role": "user", "content": content}]
    return client.chat.completions.create(model="tiny", messages=messages, **how)


def with_picture(data: bytes, text: str = QUESTION):
    return [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": uri(data)}},
    ]


def test_asker_says_in_steps_what_generation_gives_at_once(chatter):
    """The asker's own two ways, so that both can be references."""
    asker: Asker = chatter.asker
    example = Example("one", (read_image(png()),), (Turn(QUESTION),))
    prompt = asker.prompt(example)
    made = generate(
        asker.checkpoint.model, prompt.inputs, prompt.ends, max_new=9, stop=asker.stop
    ).rows()
    assert list(asker.said(prompt, max_new=9)) == made[0][0]
    assert prompt.room == CONTEXT - prompt.rows


def test_the_model_is_listed(client):
    assert [one.id for one in client.models.list()] == ["tiny", "clip"]
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(NotFoundError, match="tiny"):
        client.models.retrieve("large")


def test_a_question_is_answered_as_the_asker_answers(client, chatter):
    found = asked(client, QUESTION, max_tokens=11)
    assert found.choices[0].message.content == said(chatter, QUESTION, max_new=11)
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert found.usage.completion_tokens <= 11
    assert found.choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_picture_is_seen(client, chatter, colour):
    data = png(COLOURS[colour])
    found = asked(client, with_picture(data), max_tokens=11)
    assert found.choices[0].message.content == said(chatter, QUESTION, data, max_new=11)
    assert colour in found.choices[0].message.content
    bare = asked(client, QUESTION, max_tokens=11)
    assert found.usage.prompt_tokens > bare.usage.prompt_tokens


def test_a_stream_tells_the_same_piece_by_piece(client):
    whole = asked(client, with_picture(png()), max_tokens=13)
    chunks = list(
        asked(
            client,
            with_picture(png()),
            max_tokens=13,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert len({chunk.id for chunk in chunks}) == 1


def test_several_turns_and_pictures(client, chatter):
    first, second = png((200, 30, 30)), png((20, 230, 30), (43, 61))
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": with_picture(first, "what is it?")},
        {"role": "assistant", "content": "a shape"},
        {"role": "user", "content": with_picture(second, "and this?")},
    ]
    example = Example(
        "two",
        (read_image(first), read_image(second)),
        (Turn("what is it?", "a shape", (0,)), Turn("and this?", "", (0,))),
        system="be brief",
    )
    asker = chatter.asker
    expected = asker.words(list(asker.said(asker.prompt(example), max_new=9)))
    assert asked(client, messages, max_tokens=9).choices[0].message.content == expected


def test_sampling_is_seeded(client, chatter):
    how = dict(temperature=1.3, top_p=0.9)
    one = asked(client, QUESTION, max_tokens=9, seed=3, **how).choices[0].message.content
    assert one == asked(client, QUESTION, max_tokens=9, seed=3, **how).choices[0].message.content
    sampling = Sampling(temperature=1.3, top_p=0.9, seed=3)
    assert one == said(chatter, QUESTION, max_new=9, sampling=sampling)
    others = {
        asked(client, QUESTION, max_tokens=9, seed=s, **how).choices[0].message.content
        for s in range(4, 8)
    }
    assert others != {one}


def test_a_stop_text_ends_the_answer_and_is_no_part_of_it(client):
    whole = asked(client, QUESTION, max_tokens=11).choices[0].message.content
    stop = whole[len(whole) // 2 :][:2]
    found = asked(client, QUESTION, max_tokens=11, stop=[stop, "never said"])
    assert found.choices[0].message.content == whole[: whole.find(stop)].strip()
    assert found.choices[0].finish_reason == "stop"
    streamed = asked(client, QUESTION, max_tokens=11, stop=stop, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
    assert text == found.choices[0].message.content


def test_an_answer_is_as_long_as_asked_by_default_as_the_server_says(client):
    assert asked(client, QUESTION).usage.completion_tokens <= 7
    with pytest.raises(BadRequestError, match="leave room for"):
        asked(client, QUESTION, max_tokens=CONTEXT)
    with pytest.raises(BadRequestError, match="context"):
        asked(client, "what color? " * 400)
    with pytest.raises(BadRequestError, match="context"):
        asked(client, "what color? " * 400, stream=True)


def spoken(data: str, kind: str = "wav") -> dict:
    """A message that holds a recording."""
    part = {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
    return {"messages": [{"role": "user", "content": [part]}]}


REFUSED = {
    "unknown field": ({"logit_bias": {"5": 1}}, "logit_bias"),
    "no messages": ({"messages": []}, "messages"),
    "not a user's last": (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        "a user's",
    ),
    "twice a user": ({"messages": [{"role": "user", "content": "a"}] * 3}, "in turn"),
    "empty": ({"messages": [{"role": "user", "content": "  "}]}, "empty"),
    "unknown part": (
        {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": "x"}]}]},
        "video_url",
    ),
    "unknown role": ({"messages": [{"role": "tool", "content": "a"}]}, "tool"),
    "temperature": ({"temperature": -1}, "temperature"),
    "infinite": ({"top_p": 2}, "top_p"),
    "several": ({"n": 2}, "n:"),
    "seed": ({"seed": 2**70}, "seed"),
    "two lengths": ({"max_tokens": 3, "max_completion_tokens": 4}, "not both"),
    "no base64": (spoken("??"), "base64"),
    "no sound": (spoken("AAAA"), "no sound"),
    "no such format": (spoken("AAAA", "exe"), "format"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_is_one_line_that_names_it(plain, name):
    changed, expected = REFUSED[name]
    request = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], **changed}
    answer = plain.post("/v1/chat/completions", json=request)
    assert answer.status_code in (400, 422)
    assert expected in complaint(answer)


def test_another_model_is_not_here(plain):
    request = {"model": "gpt", "messages": [{"role": "user", "content": "a"}]}
    answer = plain.post("/v1/chat/completions", json=request)
    assert answer.status_code == 404 and "'tiny'" in complaint(answer)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"\\ud800": 1, "model": "tiny", "messages": []}',
        b'{"model": "tiny", "messages": NaN}',
        b'{"model": "tiny", "seed": ' + b"9" * 5000 + b', "messages": []}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_request_is_refused(plain, raw):
    answer = plain.post(
        "/v1/chat/completions", content=raw, headers={"content-type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
    complaint(answer)


def test_events_are_whole(plain):
    request = {
        "model": "tiny",
        "stream": True,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    answer = plain.post("/v1/chat/completions", json=request)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    assert json.loads(events[0])["choices"][0]["delta"]["role"] == "assistant"


def test_without_what_hears_speech_is_refused(chatter):
    with served(Services.start(Settings(), chatter=chatter)) as address:
        request = {"model": "tiny", **spoken("AAAA")}
        answer = httpx.post(f"{address}/v1/chat/completions", json=request)
        assert answer.status_code == 400 and "chiasm[speech]" in complaint(answer)
