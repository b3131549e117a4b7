"""The live picture by WebRTC (aiortc): a compressed video, for viewers behind a narrow network. The
motion JPEG stream sends whole pictures, which takes more of it and less time.

The page sends an offer to `/webrtc` and gets an answer (JSON with `sdp` and `type`, as browsers
make them). Only who may see the page gets that far. Nothing leaves this network: no STUN or TURN
server is asked, so a peer must be reachable directly.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from ...errors import UsageError
from ...frame import Image

if TYPE_CHECKING:
    from av import VideoFrame

# RTP's clock for video (RFC 3551).
CLOCK = 90_000
# An offer of a browser has 2 to 6 kB.
MAX_OFFER = 64 * 1024
# Seconds for an answer: interfaces are looked at, and nobody else is asked.
ANSWER_S = 10.0
# Seconds for a peer that got an answer to connect; browsers take one or two.
CONNECT_S = 15.0
# Peers at once; each is compressed for alone.
MOST_PEERS = 4

Result = TypeVar("Result")


class _Description(Protocol):
    sdp: str
    type: str


class _Connection(Protocol):
    """What is used of aiortc's RTCPeerConnection, by the names of the standard."""

    connectionState: str
    localDescription: _Description

    def on(self, event: str, call: Callable[[], Awaitable[None]]) -> object: ...

    def addTrack(self, track: object) -> object: ...

    async def setRemoteDescription(self, description: object) -> None: ...

    async def setLocalDescription(self, description: object) -> None: ...

    async def createAnswer(self) -> object: ...

    async def close(self) -> None: ...


def available() -> bool:
    """Whether aiortc is installed; loads nothing."""
    return find_spec("aiortc") is not None


def _unheard(_loop: asyncio.AbstractEventLoop, _context: dict[str, object]) -> None:
    """Nothing is said."""


class Peers:
    """Browsers that get the picture, each compressed for by itself; used as a context.

    Raises:
        ModuleNotFoundError: aiortc is not installed.
    """

    def __init__(self) -> None:
        self._aiortc = import_module("aiortc")
        self._connections: set[_Connection] = set()
        self._waiting: set[asyncio.Future[None]] = set()
        self._newest: tuple[int, Image | None] = (0, None)
        self._change = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        # Tasks of aiortc's fail on what offers say; nobody asks for their results, so asyncio would
        # print tracebacks. The peer it was for does not connect.
        self._loop.set_exception_handler(_unheard)
        self._thread = threading.Thread(target=self._loop.run_forever, name="webrtc", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """How many are connected."""
        return len(self._connections)

    def offer(self, image: Image) -> None:
        """The newest picture; never blocks, and must not be written to afterwards."""
        self._newest = (self._newest[0] + 1, image)
        if self._connections:
            self._loop.call_soon_threadsafe(self._change.set)

    def answer(self, offer: str) -> str:
        """Take up a peer.

        Args:
            offer: JSON of a browser's session description.

        Returns:
            JSON of ours.

        Raises:
            UsageError: it is none, or there are too many peers.
        """
        if self.count >= MOST_PEERS:
            raise UsageError(f"{MOST_PEERS} peers watch already")
        try:
            facts = json.loads(offer)
            description = self._aiortc.RTCSessionDescription(facts["sdp"], facts["type"])
            return self._wait(self._connect(description))
        except TimeoutError:
            raise UsageError("no answer could be made in time") from None
        except Exception as error:  # whatever aiortc meets in an offer, or does not know
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(f"this is no offer of a WebRTC peer: {reason:.100}") from None

    def close(self) -> None:
        """Let all peers go; may be called twice."""
        if self._loop.is_closed():
            return
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2.0)
        self._loop.close()

    async def newest(self, seen: int) -> tuple[int, Image]:
        """The first picture after number `seen`."""
        while True:
            number, image = self._newest
            if number > seen and image is not None:
                return number, image
            self._change.clear()
            await self._change.wait()

    async def _connect(self, description: object) -> str:
        # Without a list of its own aiortc asks a public STUN server.
        nobody = self._aiortc.RTCConfiguration(iceServers=[])
        connection = cast("_Connection", self._aiortc.RTCPeerConnection(nobody))
        self._connections.add(connection)

        async def changed() -> None:
            if connection.connectionState in ("failed", "closed", "disconnected"):
                self._connections.discard(connection)
                await connection.close()

        connection.on("connectionstatechange", changed)
        try:
            connection.addTrack(_track(self))
            await connection.setRemoteDescription(description)
            await connection.setLocalDescription(await connection.createAnswer())
        except BaseException:
            self._connections.discard(connection)
            await connection.close()
            raise
        late = asyncio.ensure_future(self._wait_for(connection))
        self._waiting.add(late)
        late.add_done_callback(self._waiting.discard)
        made = connection.localDescription
        return json.dumps({"sdp": made.sdp, "type": made.type})

    async def _wait_for(self, connection: _Connection) -> None:
        """Give the place of a peer that does not come to others."""
        await asyncio.sleep(CONNECT_S)
        if connection.connectionState != "connected":
            self._connections.discard(connection)
            await connection.close()

    async def _end(self) -> None:
        for late in self._waiting:
            late.cancel()
        connections, self._connections = list(self._connections), set()
        for connection in connections:
            await connection.close()

    def _wait(self, work: Coroutine[object, object, Result]) -> Result:
        begun = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return begun.result(ANSWER_S)
        except TimeoutError:
            begun.cancel()
            raise

    def __enter__(self) -> "Peers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _track(peers: Peers) -> object:
    """A track of aiortc's that gives the newest picture, never an older one twice."""
    base = import_module("aiortc").MediaStreamTrack

    class Track(base):
        kind = "video"
        _seen = 0

        async def recv(self) -> "VideoFrame":
            from av import VideoFrame

            self._seen, image = await peers.newest(self._seen)
            frame = VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time.monotonic() * CLOCK), Fraction(1, CLOCK)
            return frame

    return Track()
