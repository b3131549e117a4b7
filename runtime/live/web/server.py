"""The web server under the live page and the exported one: threads, and limits for strangers.

The standard library's server gives every connection a thread and waits as long as the other side
likes. Here a connection that sends no complete request in time is closed, and beyond a number of
connections new ones are turned away, so that nobody slows the picture down by holding sockets.
"""

import contextlib
import http.server
import ipaddress
import socket
import threading
import time
from typing import Any

from ...errors import UsageError

# Seconds for a request to arrive, and for a slow reader to take the next piece of an answer.
REQUEST_S = 10.0
# Connections at once: six of a browser for each of a handful of viewers.
MOST = 32
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server(http.server.ThreadingHTTPServer):
    """Listens at an address; threads end with the program.

    Args:
        address: (host, port).
        handler: makes a `Handler`.

    Raises:
        OSError: the address cannot be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, float] = {}
        self._open = 0
        super().__init__(address, handler)
        self._host = address[0]
        self._names = (
            own_names(address[0], self.server_address[1]) if is_loopback(address[0]) else None
        )

    @property
    def place(self) -> str:
        """Host and port as an address names them."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if self._host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        return f"{host}:{self.server_address[1]}"

    def answers_to(self, host: str) -> bool:
        """Whether a request's Host header names us. Where only this machine can reach us, only its
        own names count: a foreign name that resolves to 127.0.0.1 is an attack (DNS rebinding)."""
        return self._names is None or host.lower() in self._names

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, unless there are too many."""
        with self._lock:
            full = self._open >= MOST
            if not full:
                self._open += 1
                self._waiting[request] = time.monotonic() + REQUEST_S
        if full:
            request.settimeout(1.0)
            with contextlib.suppress(OSError):  # who is turned away need not listen
                request.sendall(BUSY)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection is over."""
        with self._lock:
            if self._waiting.pop(request, None) is not None:
                self._open -= 1
        super().shutdown_request(request)

    def arrived(self, request: Any) -> None:
        """A request is complete: its answer may take as long as it takes."""
        with self._lock:
            if request in self._waiting:
                self._waiting[request] = float("inf")

    def expects(self, request: Any) -> None:
        """The connection waits for its next request."""
        with self._lock:
            if request in self._waiting:
                self._waiting[request] = time.monotonic() + REQUEST_S

    def service_actions(self) -> None:
        """Close what was too slow; called between connections, ten times a second."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until in self._waiting.items() if until < now]
        for request in late:
            try:
                request.shutdown(socket.SHUT_RDWR)  # its thread wakes up and ends
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no error."""


class Handling:
    """What our handlers share; to be put before a handler of `http.server`."""

    protocol_version = "HTTP/1.1"
    timeout = REQUEST_S
    server: Server
    connection: Any

    def parse_request(self) -> bool:
        """Read the head of a request, whose time ends here."""
        good = bool(super().parse_request())  # type: ignore[misc]
        self.server.arrived(self.connection)
        return good

    def handle_one_request(self) -> None:
        """Wait for a request, answer it."""
        self.server.expects(self.connection)
        super().handle_one_request()  # type: ignore[misc]

    def version_string(self) -> str:
        """Which Python runs here is nobody's business."""
        return "Impasto"

    def log_message(self, format: str, *args: Any) -> None:
        """No access log."""


def parse_address(text: str, flag: str = "--serve") -> tuple[str, int]:
    """Read "127.0.0.1:8080", "localhost:0", "[::1]:8080" or "8080", which a flag was given.

    Raises:
        UsageError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") if colon else "127.0.0.1"
    host = "127.0.0.1" if host in ("", "localhost") else host
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError(f'{flag} "{text}": write HOST:PORT, for example 127.0.0.1:8080')
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name: only its owner knows where it leads


def own_names(host: str, port: int) -> set[str]:
    """What a Host header says that means this machine. Browsers leave port 80 out."""
    plain = f"[{host}]" if ":" in host else host
    names = {plain, "localhost", "127.0.0.1", "[::1]"}
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())
