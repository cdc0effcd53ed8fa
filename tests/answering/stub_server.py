"""A server that speaks OpenAI's chat interface, in this process, whose answers are scripted."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[dict[str, Any]], "str | tuple[int, str]"]
"""From a request's JSON to the answer's text, or to a status and a body."""


@dataclass
class Stub:
    """What was asked, and how it is answered."""

    script: Script
    models: tuple[str, ...] = ("scripted",)
    address: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    seconds: float = 0.0

    def prompt(self, number: int = -1) -> str:
        """The words of one request's last message."""
        return self.requests[number]["messages"][-1]["content"][0]["text"]


@contextmanager
def serving(script: Script, **more: Any) -> Iterator[Stub]:
    stub = Stub(script, **more)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed = [{"id": name, "object": "model"} for name in stub.models]
            self._send(200, json.dumps({"object": "list", "data": listed}))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append(asked)
            stub.keys.append(self.headers.get("Authorization"))
            time.sleep(stub.seconds)
            said = stub.script(asked)
            if isinstance(said, tuple):
                self._send(*said)
                return
            choice = {"index": 0, "finish_reason": "stop"}
            message = {"role": "assistant", "content": said}
            body = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": asked["model"],
                "choices": [{**choice, "message": message}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11},
            }
            self._send(200, json.dumps(body))

        def _send(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.address = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
