"""A real headless Chromium, driven by its DevTools protocol over a pipe: no port, no other program, no network.

`open_page` gives a `Page`. It collects what must not happen: exceptions, messages on the console, violations of the
content security policy, and requests for anything but the file itself.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.waiting import LONG, eventually

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed (.ci/bootstrap.sh test)")
_OPTIONS = (
    "--headless=new --remote-debugging-pipe --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
    " --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage --mute-audio"
    " --disable-default-apps --no-default-browser-check --disable-extensions"
).split()
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(
  `${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
CONTRAST = """
(() => {
  const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const parse = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style, noscript, title, option, .unseen")) continue;
    const style = getComputedStyle(element);
    const colour = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [one, two] = [light(colour), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) found.add(`${element.tagName}.${element.getAttribute("class")} ${ratio.toFixed(2)}`);
  }
  return [...found];
})()
"""
"""The texts of a page with a contrast below 4.5 to 1, as an expression."""
_KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38, "PageDown": 34, "End": 35, "Home": 36}


class ChromiumFault(Exception):
    """What Chromium answers to a command that it refuses, or what a script threw."""


class Chromium:
    """The browser: commands go in by descriptor 3, answers and events come out by descriptor 4."""

    def __init__(self, home: str) -> None:
        assert PROGRAM is not None
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (commands, answers)]
        self.pid = os.posix_spawn(
            PROGRAM,
            [PROGRAM, *_OPTIONS, f"--user-data-dir={home}", "about:blank"],
            {**os.environ, "HOME": home},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, high[0], 3),
                (os.POSIX_SPAWN_DUP2, high[1], 4),
                (os.POSIX_SPAWN_OPEN, 1, f"{home}/out", os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, f"{home}/err", os.O_WRONLY | os.O_CREAT, 0o600),
            ],
            setpgroup=0,
        )
        for each in (commands, answers, *high):
            os.close(each)
        self._buffer = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Give a command, and return its result; events that come meanwhile are kept."""
        self._last += 1
        command: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        data = memoryview(json.dumps(command).encode() + b"\0")
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            message = self._next()
            if message.get("id") == self._last:
                if "error" in message:
                    raise ChromiumFault(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + LONG
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise ChromiumFault("Chromium has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """End the browser and its processes."""
        with contextlib.suppress(OSError, ChromiumFault, TimeoutError):
            self.call("Browser.close")
        if not eventually(lambda: os.waitpid(self.pid, os.WNOHANG)[0] == self.pid, 20):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._read)
        os.close(self._write)


class Page:
    """One page, as a person has it in front of them."""

    def __init__(self, browser: Chromium, *, script: bool = True) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
        if not script:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command for this page."""
        return self._browser.call(method, self._session, **parameters)

    def size(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Take the size of a screen (CSS pixels), and its colours."""
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, file: Path, address: str = "") -> None:
        """Open a file, and wait until it is complete."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{file.absolute().as_uri()}{address}")
        assert eventually(lambda: self.run("location.protocol + document.readyState") == "file:complete")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise ChromiumFault(json.dumps(done["exceptionDetails"]))
        return done["result"].get("value")

    def press(self, *keys: str, modifiers: int = 0) -> None:
        """Press keys by their names, one after the other; 8 as a modifier is Shift."""
        for key in keys:
            said: dict[str, Any] = {"key": key, "code": key, "modifiers": modifiers}
            if key in _KEYS:
                said["windowsVirtualKeyCode"] = _KEYS[key]
            if len(key) == 1:
                said["text"] = key
            elif key == "Enter":
                said["text"] = "\r"
            self.call("Input.dispatchKeyEvent", type="keyDown", **said)
            self.call("Input.dispatchKeyEvent", type="keyUp", **said)

    def write(self, text: str) -> None:
        """Type a text."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click on the middle of an element, after it was scrolled into view."""
        place = self.run(
            f"""(() => {{ const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: "center"}}); const box = found.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        )
        at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def text(self, selector: str) -> str:
        """The text of an element as it is shown; empty while there is none."""
        found: str = self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    def picture(self, *, whole: bool = False) -> bytes:
        """What is seen, as PNG; or the whole page."""
        done = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(done["data"])

    def faults(self) -> list[str]:
        """What went wrong so far: exceptions, the console, the policy, and requests beyond the file itself."""
        found = [f"violation: {each}" for each in self.run("window.violations || []")]
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            said = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(f"exception: {json.dumps(said['exceptionDetails'])}")
            elif event["method"] in ("Runtime.consoleAPICalled", "Log.entryAdded"):
                found.append(f"console: {json.dumps(said)}")
            elif event["method"] == "Network.requestWillBeSent" and said.get("type") != "Document":
                found.append(f"request: {said['request']['url'][:200]}")
        return found


@contextlib.contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser with an empty home."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as home:
        browser = Chromium(home)
        try:
            yield browser
        finally:
            browser.close()
