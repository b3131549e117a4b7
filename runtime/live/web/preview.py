"""The live picture in a browser: one page, a motion JPEG stream, the same controls as the keys, and
what a viewer takes along: the picture at full size, and pictures of their own, painted.

Only this machine can reach it unless another address is asked for, and then only who has the token.
Commands are accepted from our own page alone (header and origin are checked), so that no other web
site a user visits can steer the camera. Pictures are compressed only while somebody watches.
"""

import http.server
import json
import queue
import re
import socket
import tempfile
import threading
import time
import urllib.parse
from dataclasses import asdict
from pathlib import Path

import cv2

from ...card import JsonObject
from ...errors import StyleError, UsageError
from ...fields import is_whole
from ...frame import Image
from ...keys import action_named
from ..capture import Cameras
from ..controls import Settings
from ..overlay import Stats
from . import pages
from .page_painter import PagePainter
from .server import Handling, Server, Tls
from .webrtc import MAX_OFFER, Peers, available

# JPEG quality of the stream: 80 costs 1.7 ms and about 100 kB at 1280x720.
QUALITY = 80
# How long a watcher's connection waits for a picture before the last one is sent again.
WAIT_S = 1.0
BOUNDARY = "impasto-frame"
# Commands are a word; more is not read.
MAX_BODY = 256
# Largest picture file to be painted, and the seconds it may take to arrive.
MAX_PICTURE, UPLOAD_S = 64 * 2**20, 120.0
PIECE = 2**16
CARD = re.compile(r"/cards/([1-9]\d{0,3})\.jpg")


class Preview:
    """The page's server; used as a context.

    Attributes:
        url: what to open, token included.
        watchers: how many streams are being sent.
        painter: paints cards and pictures for the page; None where it has none.
        uploading: held while a picture arrives and is painted: one at a time.
    """

    def __init__(
        self,
        address: str,
        actions: "queue.SimpleQueue[str]",
        token: str | None = None,
        tls: Tls | None = None,
        painter: PagePainter | None = None,
    ) -> None:
        """Listen.

        Args:
            address: "HOST:PORT", "PORT" (this machine), port 0 for any free one.
            actions: where commands of the page go.
            token, tls: see `Server`.
            painter: see there.

        Raises:
            UsageError: the address is wrong or taken, or there is no certificate in the file.
        """
        self.actions, self.painter = actions, painter
        self.uploading = threading.Lock()
        self.settings = Settings()
        self.watchers = 0
        self.change = threading.Condition()
        self._image: Image | None = None
        self._number = 0
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._jpeg_lock = threading.Lock()
        self._state: JsonObject = {}
        self._closed = False
        self._peers: Peers | None = None
        self._peers_lock = threading.Lock()
        self._server = _Server(address, _Handler, token, tls)
        self._server.preview = self
        self.token, self.url = self._server.token, self._server.url
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="serve", kwargs={"poll_interval": 0.1}
        )
        self._thread.daemon = True
        self._thread.start()

    def offer(self, image: Image) -> None:
        """The newest picture; never blocks, and must not be written to afterwards."""
        with self.change:
            self._image, self._number = image, self._number + 1
            self.change.notify_all()
        if self._peers is not None:
            self._peers.offer(image)

    def answer(self, offer: str) -> str:
        """Take up a peer that wants the picture by WebRTC; see `Peers.answer`.

        Raises:
            UsageError: there is no WebRTC here, or the offer is none.
        """
        with self._peers_lock:
            if not available() or self._closed:
                raise UsageError("no WebRTC here: pip install aiortc")
            self._peers = self._peers or Peers()
        return self._peers.answer(offer)

    def publish(
        self,
        stats: Stats,
        settings: Settings,
        styles: list[str],
        *,
        mixes: bool = False,
        cameras: Cameras | None = None,
    ) -> None:
        """The newest figures and the state of the controls; `mixes` where the style mixes with the
        next one, `cameras` that can be chosen."""
        self.settings = settings
        self._state = {
            **asdict(stats),
            "mixes": mixes,
            "bottleneck": stats.bottleneck,
            "settings": asdict(settings),
            "styles": styles,
            "cameras": dict(cameras.names) if cameras is not None else {},
            "camera": cameras.current if cameras is not None else -1,
        }

    def state(self) -> JsonObject:
        """What was published last."""
        return {**self._state, "watchers": self.watchers, "webrtc": available()}

    def next_jpeg(self, seen: int) -> tuple[int, bytes] | None:
        """The first picture after number `seen`, compressed once for all watchers; the last one
        again if none comes in time, None at the end."""
        with self.change:
            self.change.wait_for(lambda: self._number > seen or self._closed, WAIT_S)
            if self._closed:
                return None
            image, number = self._image, self._number
        if image is None:
            return seen, b""
        with self._jpeg_lock:
            if self._jpeg[0] != number:
                picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
                good, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                self._jpeg = (number, data.tobytes() if good else b"")
            return self._jpeg

    def png(self) -> bytes:
        """The newest picture without loss, nothing if there is none yet."""
        image = self._image
        if image is None:
            return b""
        good, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return data.tobytes() if good else b""

    def close(self) -> None:
        """Stop listening, let the watchers go; may be called twice."""
        if self._closed:
            return
        with self.change:
            self._closed = True
            self.change.notify_all()
        with self._peers_lock:
            if self._peers is not None:
                self._peers.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)

    def __enter__(self) -> "Preview":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(Server):
    preview: Preview


class _Handler(Handling, http.server.BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] made by it

    def do_GET(self) -> None:
        """The page and its files, the stream, one picture, a style's card, or the state."""
        path = urllib.parse.urlsplit(self.path).path
        if not self._allowed():
            return
        preview = self.server.preview
        if path == "/":
            self._page()
        elif path == "/stream":
            self._stream()
        elif path == "/frame.jpg":
            newest = preview.next_jpeg(0)
            self._picture("image/jpeg", newest[1] if newest is not None else b"")
        elif path == "/frame.png":
            self._picture("image/png", preview.png())
        elif path == "/state":
            self._answer(200, "application/json", json.dumps(preview.state()).encode())
        elif found := CARD.fullmatch(path):
            self._card(int(found[1]) - 1)
        elif (file := pages.read(path)) is not None:
            self._answer(200, *file)
        else:
            self._answer(404, "text/plain", b"there is / /stream /frame.jpg /frame.png /state\n")

    def _picture(self, kind: str, data: bytes) -> None:
        if data:
            self._answer(200, kind, data)
        else:
            self._answer(503, "text/plain", b"no picture yet\n")

    def _card(self, number: int) -> None:
        painter = self.server.preview.painter
        try:
            data = None if painter is None else painter.card(number)
        except StyleError as error:
            self._answer(404, "text/plain", f"{error}\n".encode())
            return
        if data is None:
            self._answer(404, "text/plain", b"no such style\n")
        else:
            self._answer(200, "image/jpeg", data)

    def do_POST(self) -> None:
        """/action: a key or an action word; /webrtc: an offer; /paint: a picture; from our own
        page."""
        path = urllib.parse.urlsplit(self.path).path
        if path == "/paint":
            self._paint()
            return
        length = self.headers.get("Content-Length", "")
        body, most = b"", MAX_OFFER if path == "/webrtc" else MAX_BODY
        if is_whole(length) and int(length) <= most:
            body = self.rfile.read(int(length))
        else:
            self.close_connection = True
        if not self._may_command():
            return
        if path == "/webrtc":
            self._take_up(body)
            return
        if path != "/action":
            self._answer(404, "text/plain", b"there is /action /paint /webrtc\n")
            return
        try:
            action = action_named(body.decode("utf-8", "replace").strip())
        except UsageError as error:
            self._answer(400, "text/plain", f"{error}\n".encode())
            return
        if action in ("fullscreen", "quit"):
            self._answer(403, "text/plain", b"that belongs to the machine itself\n")
            return
        self.server.preview.actions.put(action)
        self._answer(204, "text/plain", b"")

    def _take_up(self, offer: bytes) -> None:
        try:
            answer = self.server.preview.answer(offer.decode("utf-8", "replace"))
        except UsageError as error:
            self._answer(400, "text/plain", f"{error}\n".encode())
            return
        self._answer(200, "application/json", answer.encode())

    def _paint(self) -> None:
        """Answer a picture with the painted one."""
        self.close_connection = True  # what is refused is not read
        if not self._may_command():
            return
        preview, length = self.server.preview, self.headers.get("Content-Length", "")
        if not is_whole(length) or int(length) > MAX_PICTURE:
            most = f"a picture of at most {MAX_PICTURE >> 20} MB is painted\n"
            self._answer(413, "text/plain", most.encode())
            return
        if preview.painter is None or not preview.uploading.acquire(blocking=False):
            self._answer(503, "text/plain", b"another picture is being painted; try again\n")
            return
        try:
            answer = self._painted(preview.painter, int(length))
        finally:
            preview.uploading.release()
        if answer is not None:
            self._answer(*answer)

    def _painted(self, painter: PagePainter, length: int) -> tuple[int, str, bytes] | None:
        """Status, type and body of the answer; None where the browser has left."""
        try:
            with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
                source = Path(folder) / "picture"
                if not self._receive(source, length):
                    return None
                return 200, *painter.paint(source, self.server.preview.settings)
        except StyleError as error:
            return 400, "text/plain", f"{error}\n".encode()
        except OSError as error:
            reason = f"the picture cannot be kept here: {error.strerror}\n"
            return 507, "text/plain", reason.encode()

    def _receive(self, target: Path, length: int) -> bool:
        """Write the body of the request into a file; whether all of it came in time."""
        until = time.monotonic() + UPLOAD_S
        with target.open("wb") as file:
            while length > 0 and time.monotonic() < until:
                try:
                    piece = self.rfile.read1(min(length, PIECE))
                except (TimeoutError, ConnectionError):
                    return False
                if not piece:
                    return False
                file.write(piece)
                length -= len(piece)
        return length == 0

    def _may_command(self) -> bool:
        """Whether a command comes from our own page; answers by itself when it does not."""
        if not self._allowed():
            return False
        if self.headers.get("X-Impasto") != "1" or not self.own_origin():
            self._answer(403, "text/plain", b"only our own page may do that\n")
            return False
        return True

    def _allowed(self) -> bool:
        """Whether the request may be answered; answers by itself where it may not."""
        refusal = self.refusal()
        if refusal is not None:
            self._answer(refusal[0], "text/plain", f"{refusal[1]}\n".encode())
        return refusal is None

    def _page(self) -> None:
        headers = dict(pages.HEADERS)
        if self.cookie is not None:
            headers["Set-Cookie"] = self.cookie
        self._answer(200, "text/html; charset=utf-8", pages.page(), headers)

    def _answer(
        self, code: int, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Picture after picture until the browser leaves; a slow one misses pictures."""
        preview = self.server.preview
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        # A small send buffer: what the browser has not fetched yet is replaced, not queued.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        with preview.change:
            preview.watchers += 1
        try:
            seen = 0
            while (newest := preview.next_jpeg(seen)) is not None:
                seen, data = newest
                if data:
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: "
                    self.wfile.write(f"{head}{len(data)}\r\n\r\n".encode() + data + b"\r\n")
        except OSError:
            return  # the browser has left
        finally:
            with preview.change:
                preview.watchers -= 1
