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
from urllib.parse import urlsplit

import pytest

PATIENCE_S = 20.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
# What a page's own workers and service workers are asked to report, as the page is.
WATCHED = ("Runtime.enable", "Network.enable")


def chromium():
    """The browser's program; skips the test if there is none."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    return program


def wait_for(condition, seconds=PATIENCE_S):
    """Call `condition` until it is true; gives its value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


class Browser:
    """One browser with one page.

    Attributes:
        events: what page, workers and service workers reported: (method, params).
    """

    def __init__(self, program, folder, *flags):
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
        file = folder / "DevToolsActivePort"
        wait_for(lambda: file.exists() and len(file.read_text().split()) == 2, 60)
        self.port = int(file.read_text().split()[0])
        targets = json.loads(
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json", timeout=PATIENCE_S).read()
        )
        page = next(target for target in targets if target["type"] == "page")
        self._number = 0
        self.events = []
        self._connect(urlsplit(page["webSocketDebuggerUrl"]))

    def _connect(self, url):
        self.socket = socket.create_connection((url.hostname, url.port), PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.socket.makefile("rb")
        assert b"101" in self.stream.readline()
        while self.stream.readline().strip():
            pass

    def watch(self):
        """Have console, exceptions and requests reported, those of workers included."""
        for method in ("Runtime.enable", "Network.enable", "Log.enable", "Page.enable"):
            self.call(method)
        self.call(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )

    def call(self, method, **params):
        """One command and its answer."""
        number = self._send(method, params)
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def value(self, script, wait=False):
        """What a piece of JavaScript gives; what its promise gives, if it is to `wait`."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=wait, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key):
        """Type one key."""
        code = 32 if key == " " else ord(key[0].upper())
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key, windowsVirtualKeyCode=code
            )

    def choose(self, selector, *files):
        """Put files into a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def screenshot(self):
        """The page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def requests(self):
        """Addresses of everything that was asked for."""
        return [
            params["request"]["url"]
            for method, params in self.events
            if method == "Network.requestWillBeSent"
        ]

    def complaints(self):
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

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def _send(self, method, params, session=None):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
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

    def _next(self):
        """The next message; events are kept, and workers that begin are asked to report."""
        message = json.loads(self._message())
        if "method" in message:
            self.events.append((message["method"], message["params"]))
            if message["method"] == "Target.attachedToTarget":
                session = message["params"]["sessionId"]
                for method in (*WATCHED, "Runtime.runIfWaitingForDebugger"):
                    self._send(method, {}, session)
        return message

    def _message(self):
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
