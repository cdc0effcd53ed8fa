"""`chiasm serve`: what it refuses at once, and a server that a person starts and stops."""

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from chiasm.cli.main import main


@pytest.fixture
def chiasm(monkeypatch, capsys):
    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["chiasm", "serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "nothing to serve"),
        (("--model", "x", "--host", "0.0.0.0"), 2, "--token"),
        (("--model", "x", "--token", "short"), 2, "at least 8"),
        (("--library", "/nowhere", "--port", 0), 2, "/nowhere"),
        (("--model", "/nowhere", "--port", 0), 2, "/nowhere"),
        (("--library", "a", "--embedder", "b", "--port", 0), 2, "its own"),
        (("--model", "x", "--host", "192.0.2.1", "--token", "t" * 8), 1, "192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_one_line(chiasm, arguments, code, told):
    left, err = chiasm(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("chiasm:")]
    assert left == code and len(lines) == 1 and told in lines[0] and "Traceback" not in err


def test_a_taken_port_is_named(chiasm):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, err = chiasm("--model", "x", "--port", port)
    assert code == 1 and f"port {port}" in err


@pytest.mark.slow
def test_it_serves_until_it_is_stopped(checkpoint):
    command = [sys.executable, "-m", "chiasm.cli.main", "serve", "--model", checkpoint]
    started = subprocess.Popen(
        [*map(str, command), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert started.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", started.stdout.readline())
        assert found is not None
        # The line is printed when the socket listens; the answer waits until the app does.
        assert httpx.get(f"{found[0]}/health", timeout=60).json()["chat"] is True
        page = httpx.get(f"{found[0]}/", timeout=60)
        assert page.status_code == 200 and "gradio" in page.text
        started.send_signal(signal.SIGINT)
        assert started.wait(20) in (0, -signal.SIGINT, 130)
    finally:
        started.kill()
