"""Remote media: refused by default; where allowed, only public addresses, checked at every hop."""

import http.server
import ipaddress
import threading
from contextlib import contextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.conftest import QUESTION, complaint, png, served, uri

from chiasm.serving.refusal import Refused
from chiasm.serving.remote import Remote, addresses, is_public
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.7",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_what_is_public(address):
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_as_public_as_itself(address):
    mapped = ipaddress.ip_address(f"::ffff:{address}")
    assert is_public(mapped) == is_public(address)


class Site(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"]))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        data = self.server.data
        self.send_response(200 if self.path != "/missing" else 404)
        if self.path != "/unsaid":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Silence."""


@contextmanager
def site(data: bytes):
    """A web server on this machine, and its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.data, server.asked = data, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def names(**known: str):
    """A resolver that knows these names, and counts."""
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        name = host.split(".")[0]
        return [known[name]] if name in known else addresses(host, port)

    resolve.asked = asked
    return resolve


def open_here(**known: str) -> Remote:
    """As the server's own, but 127.0.0.1 counts as public, so that a site can stand there."""
    here = ipaddress.ip_address("127.0.0.1")
    return Remote(
        max_bytes=50_021,
        seconds=5,
        resolve=names(good="127.0.0.1", bad="127.0.0.2", **known),
        permits=lambda address: address == here or is_public(address),
    )


def test_the_connection_goes_to_the_checked_address_under_the_name():
    """Resolved once: a name that points elsewhere by now (rebinding) is never asked again."""
    remote = open_here()
    with site(png()) as server:
        port = server.server_port
        assert remote.fetch(f"http://good.example:{port}/x.png") == png()
        assert server.asked == [("/x.png", f"good.example:{port}")]
    assert remote.resolve.asked == ["good.example"]


def test_a_redirect_is_checked_like_the_first_address():
    remote = open_here()
    with site(png()) as server:
        port = server.server_port
        good = f"http://good.example:{port}"
        assert remote.fetch(f"{good}/to/{good}/x.png") == png()
        assert remote.fetch(f"{good}/to//x.png") == png()
        for aim in (f"http://bad.example:{port}/", "http://169.254.169.254/latest", "file:///etc"):
            before = len(server.asked)
            with pytest.raises(Refused, match=r"public|plain"):
                remote.fetch(f"{good}/to/{aim}")
            assert len(server.asked) == before + 1
        with pytest.raises(Refused, match="redirects"):
            remote.fetch(f"{good}/to/" * 5 + "x")


@pytest.mark.parametrize(
    "url",
    [
        "http://bad.example/",
        "http://127.0.0.2/",
        "http://[::1]/",
        "http://localhost/",
        "http://2130706434/",
        "http://user:word@good.example/",
        "ftp://good.example/",
        "http:///x",
        "http://",
        "https://good.example:99999/",
        "http://a\x00b/",
        "http://" + "a" * 300 + "/",
    ],
)
def test_addresses_that_are_refused(url):
    with pytest.raises(Refused):
        Remote(max_bytes=999, resolve=names(bad="10.0.0.1", good="8.8.8.8")).fetch(url)


def test_one_private_address_among_many_refuses_the_name():
    remote = Remote(max_bytes=9, resolve=lambda *_: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(Refused, match="not a public address"):
        remote.fetch("http://mixed.example/")


@pytest.mark.parametrize("path", ["said", "unsaid"])
def test_too_many_bytes_are_not_read(path):
    with site(b"x" * 60_000) as server, pytest.raises(Refused, match="50,021"):
        open_here().fetch(f"http://good.example:{server.server_port}/{path}")


def test_what_is_not_there_is_said():
    with site(b"x") as server, pytest.raises(Refused, match="404"):
        open_here().fetch(f"http://good.example:{server.server_port}/missing")
    with pytest.raises(Refused, match="not fetched"):
        open_here().fetch("http://good.example:9/")


def asking(source: str) -> dict:
    content = [{"type": "image_url", "image_url": {"url": source}}]
    return {
        "model": "tiny",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [*content, {"type": "text", "text": QUESTION}]}],
    }


@pytest.mark.parametrize(
    "source",
    [
        "http://93.184.216.34/x.png",
        "HTTPS://example.com/x.png",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        "-",
        "",
        "ftp://example.com/x.png",
        "data:,hello",
        "data:image/png;base64,????",
        "data:image/png;base64,",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "\\\\host\\share\\x.png",
    ],
)
def test_by_default_only_bytes_are_read(plain, source):
    answer = plain.post("/v1/chat/completions", json=asking(source))
    assert answer.status_code == 400
    complaint(answer)


def test_where_allowed_a_picture_is_fetched(chatter):
    services = Services.start(Settings(allow_remote=True), chatter=chatter, remote=open_here())
    with served(services) as address, site(png()) as server:
        sources = (uri(png()), f"http://good.example:{server.server_port}/x.png")
        answers = [
            httpx.post(f"{address}/v1/chat/completions", json=asking(one), timeout=20)
            for one in sources
        ]
        told = [one.json()["choices"][0]["message"]["content"] for one in answers]
        assert told[0] == told[1] and "red" in told[0]
        # The same bytes, wherever they came from, were decoded once.
        assert (services.media.cache.hits, services.media.cache.misses) == (1, 1)
        denied = httpx.post(
            f"{address}/v1/chat/completions", json=asking("http://bad.example/x.png")
        )
        assert denied.status_code == 400 and "not a public address" in complaint(denied)
