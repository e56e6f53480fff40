"""A real headless Chromium, driven over its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

from websockets.sync.client import connect


class Browser:
    """One window; `console` collects what the page complained about (script errors, refused by
    its content security policy)."""

    def __init__(self, program: str, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            (
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
                "--disable-background-networking", "--remote-debugging-port=0",
                f"--user-data-dir={folder}", "about:blank",
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._numbers = itertools.count(1)
        self.console: list[str] = []

    def __enter__(self) -> Self:
        port = self._port()
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            pages = [one for one in json.load(answer) if one["type"] == "page"]
        self._opened = connect(pages[0]["webSocketDebuggerUrl"], max_size=2**26)
        self._socket = self._opened.__enter__()
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, traceback)
        self._process.terminate()
        self._process.wait(10)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Raises RuntimeError for what the browser refuses."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=20))
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def look(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        told = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']['text']}")
        return told["result"].get("value")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def text(self, selector: str) -> str:
        """What is written in the first element; "" when there is none."""
        return str(self.look(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))

    def click(self, selector: str) -> None:
        self.look(f"document.querySelector({json.dumps(selector)}).click()")

    def wait(self, true: Callable[[], object], what: str, *, within: float = 15.0) -> None:
        limit = time.monotonic() + within
        while not true():
            assert time.monotonic() < limit, f"not within {within:g} s: {what}"
            time.sleep(0.05)

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        told = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(told["data"]))

    def _port(self) -> int:
        file = self._folder / "DevToolsActivePort"
        limit = time.monotonic() + 20
        while not (file.exists() and file.read_text().count("\n")):
            assert time.monotonic() < limit, "Chromium does not say where it listens"
            time.sleep(0.02)
        return int(file.read_text().splitlines()[0])

    def _note(self, told: dict[str, Any]) -> None:
        match told.get("method"):
            case "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.console.append(details.get("exception", {}).get("description", str(details)))
            case "Log.entryAdded":
                entry = told["params"]["entry"]
                if entry["level"] == "error":
                    self.console.append(entry["text"])
