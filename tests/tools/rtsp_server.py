"""A small RTSP server (RFC 2326) that plays one H.264 clip over the connection it was asked on, as
network cameras do: RTP (RFC 6184) interleaved with the answers."""

import base64
import itertools
import socketserver
import struct
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import av

CLOCK, TYPE, LARGEST = 90_000, 96, 1200
BEGIN = 123_456  # ticks; RFC 3550 asks for some number that is not 0


def access_units(path: Path) -> list[tuple[int, list[bytes]]]:
    """Each picture's time (ticks of CLOCK) and its NAL units, of a clip in Annex B."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                units = bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
                time = round(packet.pts * packet.time_base * CLOCK)
                found.append((time, [unit for unit in units if unit]))
    return found


def payloads(unit: bytes) -> Iterator[bytes]:
    """One NAL unit as it is, or in fragments (FU-A)."""
    if len(unit) <= LARGEST:
        yield unit
        return
    head, kind, body = unit[0] & 0xE0 | 28, unit[0] & 31, unit[1:]
    for at in range(0, len(body), LARGEST):
        first, last = at == 0, at + LARGEST >= len(body)
        yield bytes([head, first << 7 | last << 6 | kind]) + body[at : at + LARGEST]


def rtp(units: list[tuple[int, list[bytes]]]) -> Iterator[bytes]:
    """All packets of a clip."""
    number = itertools.count()
    for time, nals in units:
        parts = [part for nal in nals for part in payloads(nal)]
        for at, part in enumerate(parts):
            marker = (at == len(parts) - 1) << 7
            head = struct.pack(
                "!BBHII", 0x80, marker | TYPE, next(number) & 0xFFFF, BEGIN + time, 1
            )
            yield head + part


def description(units: list[tuple[int, list[bytes]]]) -> str:
    """SDP (RFC 4566) with the parameter sets."""
    sets = [nal for nal in units[0][1] if nal[0] & 31 in (7, 8)]
    sprop = ",".join(base64.b64encode(nal).decode() for nal in sets)
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=clip", "t=0 0", f"m=video 0 RTP/AVP {TYPE}"]
    lines += [f"a=rtpmap:{TYPE} H264/{CLOCK}", "a=control:track"]
    lines += [f"a=fmtp:{TYPE} packetization-mode=1;sprop-parameter-sets={sprop}"]
    return "\r\n".join([*lines, ""])


@contextmanager
def serving(path: Path) -> Generator[str, None, None]:
    """The address at which a clip is played, once for everybody who asks.

    Args:
        path: H.264 in a container with start codes (.ts), parameter sets before each key frame.
    """
    units = access_units(path)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline().decode().strip():
                method, fields = line.split()[0], {}
                while field := self.rfile.readline().decode().strip():
                    name, _, value = field.partition(": ")
                    fields[name.lower()] = value
                more, body = "", ""
                if method == "OPTIONS":
                    more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                if method == "DESCRIBE":
                    body = description(units)
                    more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
                if method == "SETUP":
                    more = f"Transport: {fields['transport']}\r\n"
                head = f"RTSP/1.0 200 OK\r\nCSeq: {fields['cseq']}\r\nSession: 1\r\n"
                self.wfile.write(f"{head}{more}\r\n{body}".encode())
                if method == "PLAY":
                    for packet in rtp(units):
                        self.wfile.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
                    return  # and hang up: the broadcast is over

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/live"
        server.shutdown()
