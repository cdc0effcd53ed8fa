"""Chromium without a window, driven over the DevTools protocol through a pipe."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 20.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """Where it is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab: what a person does with it, and what they see."""

    def __init__(self, out: int, back: int) -> None:
        self._out, self._back = os.fdopen(out, "wb"), os.fdopen(back, "rb")
        self._count, self._rest = 0, b""
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.send(f"{domain}.enable")

    _session: str | None = None
    _password = ""

    def send(self, method: str, **given: Any) -> Any:
        """One command and its answer; events on the way are noted."""
        number = self._tell(method, given)
        while True:
            told = self._next()
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                return told["result"]
            self._note(told)

    def open(self, address: str) -> None:
        self.send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page."""
        told = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{script}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def wait(self, script: str, seconds: float = SECONDS) -> Any:
        """The first value of an expression that holds."""
        deadline = time.monotonic() + seconds
        tried = (
            f"(() => {{ try {{ const found = {script}; "
            "return found instanceof Node ? true : found } catch {} })()"
        )
        while not (found := self.evaluate(tried)):
            if time.monotonic() > deadline:
                shown = self.evaluate("document.body.innerText.slice(0, 600)")
                raise TimeoutError(f"never came true: {script}; the page says: {shown}")
            time.sleep(0.05)
        return found

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of what the selector finds."""
        name = json.dumps(selector)
        self.wait(f"document.querySelector({name}).getBoundingClientRect().width > 0")
        self.evaluate(f"document.querySelector({name}).scrollIntoView({{block: 'center'}})")
        x, y = self.evaluate(
            f"(() => {{ const r = document.querySelector({name}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def type(self, selector: str, text: str) -> None:
        """Over what stands there."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self.send("Input.insertText", text=text)

    def press_enter(self) -> None:
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, **enter)

    def upload(self, selector: str, file: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def framed(self, name: str) -> str:
        """The HTML that stands in a frame of this site."""
        frame = f"document.querySelector('iframe[name={json.dumps(name)}]')"
        return self.evaluate(f"{frame}.contentDocument.documentElement.outerHTML") or ""

    def screenshot(self, path: Path, width: int = 1440, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        time.sleep(0.3)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def log_in(self, password: str) -> None:
        """What a person types when the browser asks for a password."""
        self._password = password
        self.send("Fetch.enable", handleAuthRequests=True)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._back.fileno(), 65_536)
            if not chunk:
                raise RuntimeError("the browser closed")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _tell(self, method: str, given: dict[str, Any]) -> int:
        self._count += 1
        said = {"id": self._count, "method": method, "params": given}
        if self._session is not None:
            said["sessionId"] = self._session
        self._out.write(json.dumps(said).encode() + b"\0")
        self._out.flush()
        return self._count

    def _note(self, told: dict[str, Any]) -> None:
        given = told.get("params", {})
        if told.get("method") == "Fetch.requestPaused":
            self._tell("Fetch.continueRequest", {"requestId": given["requestId"]})
        if told.get("method") == "Fetch.authRequired":
            answer = {
                "response": "ProvideCredentials",
                "username": "me",
                "password": self._password,
            }
            asked = {"requestId": given["requestId"], "authChallengeResponse": answer}
            self._tell("Fetch.continueWithAuth", asked)
            # The browser remembers, and asks no more.
            self._tell("Fetch.disable", {})
        if told.get("method") == "Network.requestWillBeSent":
            self.requested.append(given["request"]["url"])
        if told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(given["exceptionDetails"].get("exception", given)))


@contextmanager
def browser(folder: Path, *more: str) -> Iterator[Page]:
    """A fresh Chromium with its files in a folder, ended with the block."""
    there, out = os.pipe()
    back, here = os.pipe()
    found = chromium()
    assert found is not None
    command = [
        *("bash", "-c", f'exec "$@" 3<&{there} 4>&{here}', "bash", found),
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--remote-debugging-pipe", f"--user-data-dir={folder}", "--window-size=1440,900"),
        *("--no-first-run", "--disable-background-networking", "--disable-extensions", *more),
    ]
    started = subprocess.Popen(
        command, pass_fds=(there, here), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(there)
    os.close(here)
    try:
        yield Page(out, back)
    finally:
        started.terminate()
        started.wait(10)
