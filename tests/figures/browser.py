"""A headless Chromium to drive from tests: the DevTools protocol over a pipe, no library needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 240


def find_chromium() -> str:
    """Return the browser; without one skip the test, or fail it where the variable CI is set."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "no Chromium on this machine: `apt-get install chromium`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Tab:
    """One page in the browser, and what it reported.

    Attributes:
        requests: URLs it asked for, its own and data URIs apart.
        complaints: errors and warnings of its console, exceptions, and blocked content.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.send(method, self.session, **parameters)

    def open(self, page: Path) -> None:
        """Load a file from disk and wait until it is shown."""
        self.own = page.as_uri()
        self.send("Page.navigate", url=self.own)
        ready = "document.readyState === 'complete' && location.protocol === 'file:'"
        end = time.monotonic() + _SECONDS
        while not self.evaluate(ready):
            assert time.monotonic() < end, f"{page} did not load"
            time.sleep(0.05)

    def evaluate(self, script: str) -> Any:
        """Run a script in the page and return its value, of a promise what it comes to."""
        got = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key, as a person would."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.send("Input.insertText", text=text)

    def move(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window, in CSS pixels."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def tap(self, x: float, y: float) -> None:
        """Put a finger on a place in the window, in CSS pixels, and lift it."""
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path) -> None:
        """Save the whole page as PNG."""
        got = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(got["data"]))

    def hear(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            url = event["request"]["url"]
            if not url.startswith("data:") and url != self.own:
                self.requests.append(url)
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.complaints.append(event["entry"]["text"])


class Browser:
    """A running Chromium; see `browser`."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self.write = read, write
        self.number = 0
        self.buffer = b""
        self.tabs: dict[str, Tab] = {}

    @contextmanager
    def tab(self, width: int, height: int = 900, dark: bool = False) -> Iterator[Tab]:
        """Open an empty page of a width in CSS pixels, as a phone's if it is below 600."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for domain in ("Page", "Network", "Runtime", "Log"):
            tab.send(f"{domain}.enable")
        tab.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        tab.send("Emulation.setTouchEmulationEnabled", enabled=width < 600, maxTouchPoints=1)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.send("Emulation.setEmulatedMedia", features=[scheme])
        yield tab
        self.send("Target.closeTarget", targetId=target)

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Give an order and return the answer; events that come meanwhile are kept."""
        self.number += 1
        order = {"id": self.number, "method": method, "params": parameters}
        if session is not None:
            order["sessionId"] = session
        os.write(self.write, json.dumps(order).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self.number:
                assert "error" not in said, (method, said["error"])
                return said["result"]
            tab = self.tabs.get(said.get("sessionId", ""))
            if tab is not None and "method" in said:
                tab.hear(said["method"], said["params"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], _SECONDS)
            piece = os.read(self.read, 2**20) if ready else b""
            assert piece, "Chromium does not answer"
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)


def serious_problems(tab: Tab) -> list[str]:
    """Name the serious and critical problems that axe-core finds in what is shown."""
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    tab.evaluate(f"{axe}; 0")
    # Style sheets are not read anew: a page on disk may not, and the console would say so.
    found: list[str] = tab.evaluate("""axe.run(document, { preload: false }).then((said) =>
        said.violations.filter((problem) => ["serious", "critical"].includes(problem.impact))
            .map((problem) => problem.id))""")
    return found


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium without a window, and end it after the block."""
    orders, ours = os.pipe()
    theirs, answers = os.pipe()
    command = [
        find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-pipe",
        f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    # Chromium takes orders from descriptor 3 and answers on 4.
    shell = ["bash", "-c", f'exec "$@" 3<&{orders} 4>&{answers}', "bash", *command]
    process = subprocess.Popen(
        shell, pass_fds=(orders, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(orders)
    os.close(answers)
    running = Browser(theirs, ours)
    try:
        yield running
        running.send("Browser.close")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
