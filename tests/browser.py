"""A browser without a window: Chromium, told what to do through a pipe; tests that need it skip where it is absent."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")

_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--remote-debugging-pipe", "--no-first-run", "--disable-background-networking", "about:blank")  # fmt: skip


@dataclass
class Browser:
    """A page in Chromium's own words, its DevTools protocol: one JSON document after the other, with a 0 between."""

    reading: Any
    writing: Any
    session: str = ""
    count: int = 0
    complaints: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def ask(self, method: str, **values: Any) -> Any:
        """Do one thing and return what comes of it; what the page complains of meanwhile is kept."""
        self.count += 1
        request = {"id": self.count, "method": method, "params": values}
        if self.session:
            request["sessionId"] = self.session
        self.writing.write(json.dumps(request).encode() + b"\0")
        self.writing.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def wait_for(self, event: str) -> None:
        """Go on when the page has told of ``event``."""
        while event not in self.events:
            self._next()

    def show(self, page: Path, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Open a file in a window of so many pixels."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.ask("Page.navigate", url=page.resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    def value(self, code: str) -> Any:
        """Return what an expression in JavaScript comes to."""
        return self.ask("Runtime.evaluate", expression=code, returnByValue=True)["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Press and let go of the mouse at a place of the page, in pixels from its upper left."""
        self.value(f"scrollTo({{top: {y} - 200, behavior: 'instant'}})")
        y -= self.value("scrollY")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def printed(self) -> bytes:
        """Return the page as it is printed: PDF."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True)["data"])

    def _next(self) -> Any:
        text = bytearray()
        while (byte := self.reading.read(1)) != b"\0":
            assert byte, "the browser is gone"
            text += byte
        told = json.loads(text)
        method, about = told.get("method", ""), told.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown" or (
            method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert")
        ):
            self.complaints.append(json.dumps(about))
        if method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.complaints.append(about["entry"]["text"])
        return told


@contextmanager
def browser() -> Iterator[Browser]:
    """Yield a page in a new browser."""
    theirs, ours = os.pipe()  # what we write
    back, forth = os.pipe()  # what it writes
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = _started(home, theirs, forth)
        try:
            with os.fdopen(back, "rb", 1 << 20) as reading, os.fdopen(ours, "wb") as writing:
                one = Browser(reading, writing)
                target = one.ask("Target.createTarget", url="about:blank")["targetId"]
                one.session = one.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
                for domain in ("Page", "Runtime", "Log"):
                    one.ask(f"{domain}.enable")
                yield one
        finally:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _started(home: str, reads: int, writes: int) -> int:
    """Start a browser that reads its file 3 and writes its file 4, with its helpers in a group of their own."""
    assert CHROMIUM is not None
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 16) for one in (reads, writes)]
    nothing = os.open(os.devnull, os.O_RDWR)
    files = [
        (os.POSIX_SPAWN_DUP2, one, place)
        for place, one in ((0, nothing), (1, nothing), (2, nothing), (3, high[0]), (4, high[1]))
    ]
    try:
        return os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *_OPTIONS, f"--user-data-dir={home}"],
            {**os.environ, "HOME": home},
            file_actions=files,
            setpgroup=0,
        )
    finally:
        for one in (reads, writes, *high, nothing):
            os.close(one)
