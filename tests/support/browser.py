"""A headless Chromium that is told over a pipe what to do, as its developer tools are.

The protocol is JSON between zero bytes, on the file descriptors 3 and 4 of the browser:
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("ROCKPRESS_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
_WORDS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--remote-debugging-pipe", "--hide-scrollbars", "--force-color-profile=srgb"),
)


class BrowserPage:
    """One page of a browser: its size, its theme, what it logs and what a script in it returns."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command; what happens meanwhile is added to the events."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._to, left) :]
        while True:
            answer = self._read()
            if answer.get("id") != self._number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._from, 1 << 20)
            if not block:
                raise RuntimeError("the browser has ended")
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def show(self, width: int, height: int = 900, *, dark: bool = False, media: str = "") -> None:
        """Set the size in CSS pixels, the theme, and print instead of the screen."""
        phone = width < 600
        self.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=media, features=[theme])

    def open(self, file: Path) -> None:
        """Load a file and wait until all of it is there; events before that are forgotten."""
        self.events.clear()
        self.send("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def value(self, script: str) -> Any:
        """Return the value of a script, a promise's once it is there."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def frame(self) -> None:
        """Wait until what was changed has been drawn."""
        script = "requestAnimationFrame(() => requestAnimationFrame(done))"
        self.value(f"new Promise(done => {script})")

    def press(self, key: str, text: str = "") -> None:
        """Press a key by its name, such as Tab, ArrowRight or a letter, and let it go."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, "Home": 36, "End": 35}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        code = codes.get(key, ord(key.upper()) if len(key) == 1 else 0)
        common = {"key": key, "windowsVirtualKeyCode": code}
        text = text or {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.send("Input.dispatchKeyEvent", type="keyDown", **common, text=text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send mousePressed, mouseMoved, mouseReleased or mouseWheel at a place."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def picture(self, *, whole: bool = False, **more: Any) -> bytes:
        """Return what is seen, or all of the page, as PNG or in the format that is given."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=whole, **more)
        return base64.b64decode(answer["data"])

    def complaints(self) -> list[str]:
        """Return what the console and the log have of errors and warnings."""
        self.value("0")  # what came before has been read then
        texts = []
        for event in self.events:
            kind, parameters = event.get("method"), event.get("params", {})
            if kind == "Runtime.exceptionThrown":
                texts.append(str(parameters["exceptionDetails"]))
            elif kind == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
                texts.append(str(parameters["args"]))
            elif kind == "Log.entryAdded":
                texts.append(parameters["entry"]["text"])
        return texts


@contextmanager
def browser_page() -> Iterator[BrowserPage]:
    """Yield a page of a browser that is started for it and ended after it."""
    assert BROWSER is not None, "no browser is installed: make browser"
    command_read, command_write = os.pipe()
    answer_read, answer_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # a shell gives the pipes the numbers that the browser reads and writes
        shell = f'exec "$@" 3<&{command_read} 4>&{answer_write}'
        words = ["bash", "-c", shell, "bash", BROWSER, *_WORDS, f"--user-data-dir={profile}"]
        ends = (command_read, answer_write)
        process = subprocess.Popen(words, pass_fds=ends, stderr=subprocess.DEVNULL)
        for end in ends:
            os.close(end)
        try:
            yield BrowserPage(command_write, answer_read)
        finally:
            for end in (command_write, answer_read):
                os.close(end)
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the browser go by itself, which it does when its pipe is closed, or end it."""
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
