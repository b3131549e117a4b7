"""Headless Chromium, steered over its DevTools web socket: no driver, no package."""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from runtime.card import JsonObject

Found = TypeVar("Found")

PATIENCE_S = 20.0
# A browser's first start on a busy machine.
START_S = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Windows' numbers of keys that are no letters.
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}
# What a page's own workers and service workers are asked to report, as the page is.
WATCHED = ("Runtime.enable", "Network.enable")


def find() -> str | None:
    """The browser's program; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def wait_for(condition: Callable[[], Found], seconds: float = PATIENCE_S) -> Found:
    """Call `condition` until it is true; gives its value.

    Raises:
        AssertionError: it was not within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError("it did not happen")
        time.sleep(0.02)
    return found


class Browser:
    """One browser with one page.

    Attributes:
        events: what page, workers and service workers reported: (method, params).
    """

    def __init__(self, program: str, folder: Path, *flags: str) -> None:
        """Start `program` with `folder` for its profile; `flags` in place of --disable-gpu."""
        file = folder / "DevToolsActivePort"
        file.unlink(missing_ok=True)  # of a browser that had this profile before
        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
                *(flags or ["--disable-gpu"]),
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: file.exists() and len(file.read_text().split()) == 2, START_S)
        self.port = int(file.read_text().split()[0])
        targets = json.loads(
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json", timeout=PATIENCE_S).read()
        )
        page = next(target for target in targets if target["type"] == "page")
        self._number = 0
        self.events: list[tuple[str, JsonObject]] = []
        self._connect(urlsplit(page["webSocketDebuggerUrl"]))

    def _connect(self, url: SplitResult) -> None:
        self.socket = socket.create_connection(
            (url.hostname or "127.0.0.1", url.port or 0), PATIENCE_S
        )
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.socket.makefile("rb")
        if b"101" not in self.stream.readline():
            raise ConnectionError("Chromium does not open its web socket")
        while self.stream.readline().strip():
            pass

    def watch(self) -> None:
        """Have console, exceptions and requests reported, those of workers included."""
        for method in ("Runtime.enable", "Network.enable", "Log.enable", "Page.enable"):
            self.call(method)
        self.call(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )

    def call(self, method: str, **params: Any) -> JsonObject:
        """One command and its answer."""
        number = self._send(method, params)
        while (answer := self._next()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def value(self, script: str, wait: bool = False) -> Any:
        """What a piece of JavaScript gives; what its promise gives, if it is to `wait`."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=wait, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Type one key."""
        code = 32 if key == " " else ord(key[0].upper())
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key, windowsVirtualKeyCode=code
            )

    def tap(self, key: str) -> None:
        """Press a key by its name: Tab, Enter, ArrowLeft, ..."""
        typed = {"Enter": "\r", " ": " "}.get(key)
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key]}
        down = {"type": "keyDown", "text": typed} if typed else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **down, **facts)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def choose(self, selector: str, *files: Path) -> None:
        """Put files into a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def screenshot(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def requests(self) -> list[str]:
        """Addresses of everything that was asked for."""
        return [
            params["request"]["url"]
            for method, params in self.events
            if method == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and exceptions nobody caught."""
        found = []
        for method, params in self.events:
            if method == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"])[:500])
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                words = [str(a.get("value", a.get("description"))) for a in params["args"]]
                found.append(" ".join(words)[:500])
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        return found

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def _send(self, method: str, params: JsonObject, session: str | None = None) -> int:
        self._number += 1
        message: JsonObject = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        body = json.dumps(message).encode()
        mask = os.urandom(4)
        if len(body) < 126:
            head = struct.pack("!BB", 0x81, 0x80 | len(body))
        elif len(body) < 65536:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, len(body))
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, len(body))
        repeated = (mask * (len(body) // 4 + 1))[: len(body)]
        masked = int.from_bytes(body) ^ int.from_bytes(repeated)
        self.socket.sendall(head + mask + masked.to_bytes(len(body)))
        return self._number

    def _next(self) -> JsonObject:
        """The next message; events are kept, and workers that begin are asked to report."""
        message = json.loads(self._message())
        if "method" in message:
            self.events.append((message["method"], message["params"]))
            if message["method"] == "Target.attachedToTarget":
                session = message["params"]["sessionId"]
                for method in (*WATCHED, "Runtime.runIfWaitingForDebugger"):
                    self._send(method, {}, session)
        return message

    def _message(self) -> bytes:
        data = b""
        while True:
            first, length = self.stream.read(2)
            if length == 126:
                (length,) = struct.unpack("!H", self.stream.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.stream.read(8))
            data += self.stream.read(length)
            if first & 0x80:
                return data
