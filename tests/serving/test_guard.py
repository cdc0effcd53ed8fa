"""What is turned away at the door: strangers, other sites, bodies too large or too slow."""

import socket
import threading
import time

import httpx
import pytest
from tests.serving.conftest import QUESTION, complaint, served

from chiasm.errors import Misuse
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings

TOKEN = "correct-horse"
ASKED = {"model": "tiny", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 2}


@pytest.fixture(scope="module")
def strict(chatter):
    """A server with a token and small limits."""
    settings = Settings(token=TOKEN, max_body=20_011, upload_seconds=0.7)
    with served(Services.start(settings, chatter=chatter)) as address:
        yield address


def raw(address: str, data: bytes, wait: float = 5.0) -> bytes:
    """What a server answers to these bytes."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=wait) as line:
        line.sendall(data)
        got = bytearray()
        try:
            while chunk := line.recv(65_536):
                got += chunk
        except TimeoutError:
            pass
        return bytes(got)


def test_other_machines_are_let_in_with_a_token_only():
    with pytest.raises(Misuse, match="--token"):
        Settings(host="0.0.0.0")
    assert not Settings(host="0.0.0.0", token=TOKEN).local
    with pytest.raises(Misuse, match="too short"):
        Settings(token="short")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong-horse"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": TOKEN},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic Zm9v"},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/nowhere", "/"])
def test_without_the_token_nothing_is_told(strict, headers, path):
    answer = httpx.get(strict + path, headers=headers)
    assert answer.status_code == 401 and "token" in complaint(answer)
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_with_the_token_everything_is(strict):
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{strict}/v1/models", headers=bearer).status_code == 200
    assert httpx.get(f"{strict}/v1/models", auth=("anyone", TOKEN)).status_code == 200
    answer = httpx.post(f"{strict}/v1/chat/completions", headers=bearer, json=ASKED)
    assert answer.status_code == 200
    assert httpx.get(f"{strict}/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example:80"}, 421),
        ({"host": "[::1"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "localhost:80"}, 200),
        ({"host": "[::1]:80"}, 200),
    ],
)
def test_pages_of_other_sites_are_kept_out(plain, headers, status):
    """A name that was bound to this machine after its page was loaded is not its name."""
    assert plain.get("/v1/models", headers=headers).status_code == status


def test_the_page_of_this_site_may_ask(plain):
    host = plain.base_url.netloc.decode()
    assert plain.get("/v1/models", headers={"origin": f"http://{host}"}).status_code == 200


def test_a_body_of_a_gigabyte_is_refused_unread(strict):
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}"
        f"\r\nContent-Type: application/json\r\nContent-Length: {2**30}\r\n\r\n"
    )
    started = time.monotonic()
    answer = raw(strict, head.encode() + b" " * 10)
    assert answer.startswith(b"HTTP/1.1 413") and b"20,011" in answer
    assert time.monotonic() - started < 3


def test_a_body_without_a_length_is_read_up_to_the_limit(strict):
    sent = 0

    def chunks():
        nonlocal sent
        while sent < 2**30:
            sent += 16_384
            yield b" " * 16_384

    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    try:
        answer = httpx.post(f"{strict}/v1/chat/completions", headers=headers, content=chunks())
        assert answer.status_code == 413
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        pass  # the server closed the line while more was being sent
    assert sent < 2**26


@pytest.mark.parametrize("length", ["-1", "9" * 5000, "x", "1e3", "0x10"])
def test_a_length_that_is_none_is_refused(strict, length):
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}"
        f"\r\nContent-Length: {length}\r\n\r\n"
    )
    assert raw(strict, head.encode())[9:10] == b"4"


def test_a_body_that_never_comes_is_given_up(strict):
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}"
        f"\r\nContent-Length: 400\r\n\r\n{{"
    )
    answer = raw(strict, head.encode())
    assert answer.startswith(b"HTTP/1.1 408") and b"0.7 s" in answer


def test_a_full_line_is_told_when_to_come_back(chatter):
    services = Services.start(Settings(queue=2), chatter=chatter)
    hold = threading.Event()
    with served(services) as address:
        held = [services.worker.submit(lambda: hold.wait(20)) for _ in range(2)]
        answer = httpx.post(f"{address}/v1/chat/completions", json=ASKED)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
        assert "2 requests" in complaint(answer)
        hold.set()
        assert all(one.result(5) for one in held)
        assert httpx.post(f"{address}/v1/chat/completions", json=ASKED).status_code == 200


def test_what_takes_too_long_is_given_up(chatter):
    services = Services.start(Settings(seconds=0.3), chatter=chatter)
    hold = threading.Event()
    with served(services) as address:
        services.worker.submit(lambda: hold.wait(20))
        answer = httpx.post(f"{address}/v1/chat/completions", json=ASKED)
        assert answer.status_code == 504 and "0.3 s" in complaint(answer)
        hold.set()


def test_who_leaves_early_stops_the_model(chatter, monkeypatch):
    """The thread is free for the next one long before the answer would have ended."""
    services = Services.start(Settings(), chatter=chatter)
    steps = []

    def slowly(*_, **__):
        for step in range(500):
            steps.append(step)
            time.sleep(0.01)
            yield 70

    monkeypatch.setattr(type(chatter.asker), "said", slowly)
    with served(services) as address:
        asked = {**ASKED, "stream": True, "max_tokens": 100}
        with httpx.stream("POST", f"{address}/v1/chat/completions", json=asked) as answer:
            next(answer.iter_lines())
        deadline = time.monotonic() + 3
        while services.worker.held and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not services.worker.held and len(steps) < 300


def test_unknown_addresses_and_methods_are_refused_in_the_same_shape(plain):
    for answer, status in (
        (plain.get("/v1/nowhere"), 404),
        (plain.get("/v1/chat/completions"), 405),
        (plain.post("/v1/embeddings", json={"model": "x", "input": "a"}), 404),
    ):
        assert answer.status_code == status
        complaint(answer)


def test_what_was_done_is_counted(plain, client):
    before = plain.get("/metrics").text
    client.chat.completions.create(**ASKED)
    after = plain.get("/metrics").text

    def value(text: str, name: str) -> float:
        return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name)))

    name = 'chiasm_requests_total{method="POST",route="/v1/chat/completions",status="200"}'
    assert value(after, name) >= 1
    for kind, least in (("prompt", 5), ("completion", 1)):
        name = f'chiasm_tokens_total{{kind="{kind}"}}'
        grown = value(after, name) - (value(before, name) if name in before else 0)
        assert grown >= least
    # The answer is sent before its place in the queue is given back.
    until = time.monotonic() + 10
    while value(after, "chiasm_queue") and time.monotonic() < until:
        time.sleep(0.05)
        after = plain.get("/metrics").text
    assert value(after, "chiasm_queue") == 0
    assert "chiasm_request_seconds_bucket" in after
