"""The web server under the live page and the exported one: threads, and limits for strangers.

The standard library's server gives every connection a thread and waits as long as the other side
likes. Here a connection that sends no complete request in time is closed, and beyond a number of
connections new ones are turned away, so that nobody slows the picture down by holding sockets.
"""

import contextlib
import hmac
import http.server
import ipaddress
import secrets
import socket
import ssl
import threading
import time
import urllib.parse
from email.message import Message
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...fields import is_whole
from ...inputs import check_file

# A certificate, and its key if that is in a file of its own.
Tls = tuple[Path, Path | None]
COOKIE = "impasto_token"
# The ports that an address need not name (RFC 9110, 4.2).
PORTS = {"http": 80, "https": 443}

# Seconds for a request to arrive, and for a slow reader to take the next piece of an answer.
REQUEST_S = 10.0
# Connections at once: six of a browser for each of a handful of viewers.
MOST = 32
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server(http.server.ThreadingHTTPServer):
    """Listens at an address; threads end with the program.

    Args:
        address: as `parse_address` reads it.
        handler: makes a `Handling`.
        token: needed to see anything; made up if others than this machine can reach the address.
        tls: certificate to serve https with, and its key (None: in the same file).

    Raises:
        UsageError: the address is wrong or taken, or there is no certificate in the file.

    Attributes:
        token: "" where none is needed.
        url: what to open, token included.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: str, handler: Any, token: str | None = None, tls: Tls | None = None
    ) -> None:
        self._host, port = parse_address(address)
        self._local = is_loopback(self._host)
        context = None if tls is None else _context(*tls)
        self.address_family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, float] = {}
        self._open = 0
        try:
            super().__init__((self._host, port), handler)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(
                f'--serve "{address}": {reason}; give another port, or 0 for any free one'
            ) from None
        self.scheme = "http" if context is None else "https"
        if context is not None:
            # Hands are shaken in each connection's own thread: a slow one must not hold up others.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.token = token or ("" if self._local else secrets.token_urlsafe(16))
        query = f"?token={self.token}" if self.token else ""
        self.url = f"{self.scheme}://{self.place}/{query}"

    @property
    def place(self) -> str:
        """Host and port as an address names them."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if self._host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        return f"{host}:{self.server_address[1]}"

    def answers_to(self, host: str) -> bool:
        """Whether a request's Host header names us: a foreign name that leads here is an attack
        (DNS rebinding). Where only this machine can reach us, that is one of its own names with our
        port; elsewhere a numeric address, or the machine's name, with any (ports are forwarded)."""
        host = host.lower()
        if self._local:
            return host in own_names(self._host, self.server_address[1], self.scheme)
        try:
            name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        except ValueError:  # half an IPv6 address
            return False
        own = socket.gethostname().lower()
        return _is_address(name) or name in (own, f"{own}.local", socket.getfqdn().lower())

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, unless there are too many."""
        with self._lock:
            full = self._open >= MOST
            if not full:
                self._open += 1
                self._waiting[request] = time.monotonic() + REQUEST_S
        if full:
            request.settimeout(0.1)
            with contextlib.suppress(OSError):  # who is turned away need not listen
                if self.scheme == "http":  # hands are not shaken for this
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
    headers: Message
    path: str

    def refusal(self, *, linked: bool = False) -> tuple[int, str] | None:
        """Why this request gets no answer, as status and words; None if it gets one.

        Args:
            linked: other pages may link to what is asked for.
        """
        if not self.server.answers_to(self.headers.get("Host", "")):
            return 403, "wrong host"
        # A browser says where a request comes from; what we have is for our own page.
        from_us = self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        if not from_us and not (linked and self.headers.get("Sec-Fetch-Mode") == "navigate"):
            return 403, "only our own page may do that"
        if self.server.token and not self._has_token(self.server.token):
            return 401, "the token is missing or wrong: open the address that was printed"
        return None

    @property
    def cookie(self) -> str | None:
        """What keeps the token for the page's further requests; None where there is none."""
        if not self.server.token:
            return None
        secure = "; Secure" if self.server.scheme == "https" else ""
        return f"{COOKIE}={self.server.token}; HttpOnly; SameSite=Strict; Path=/{secure}"

    def own_origin(self) -> bool:
        """Browsers name the page a request comes from; other programs send none."""
        origin = self.headers.get("Origin")
        return origin in (None, f"{self.server.scheme}://{self.headers.get('Host', '')}")

    def _has_token(self, token: str) -> bool:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = [*query.get("token", [])]
        for part in self.headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                given.append(value)
        # Compared in constant time, so that its answer time tells nothing.
        return any(hmac.compare_digest(word.encode(), token.encode()) for word in given)

    def parse_request(self) -> bool:
        """Read the head of a request, whose time ends here."""
        good = bool(super().parse_request())  # type: ignore[misc]
        self.server.arrived(self.connection)
        try:
            urllib.parse.urlsplit(self.path if good else "")
        except ValueError:  # an address of which half is missing
            self.send_error(400)  # type: ignore[attr-defined]
            return False
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
    if not is_whole(port) or int(port) > 65535:
        raise UsageError(f'{flag} "{text}": write HOST:PORT, for example 127.0.0.1:8080')
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name: only its owner knows where it leads


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (certificate, key):
        if path is not None:
            check_file(path, what="certificate")
    try:
        # An encrypted key would ask for its password on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        beside = f' with the key "{key}"' if key else " with its key (or give it as --tls-key)"
        raise UsageError(
            f'--tls-cert "{certificate}" is not a certificate{beside}: {error}'
        ) from None
    return context


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def own_names(host: str, port: int, scheme: str = "http") -> set[str]:
    """What a Host header says that means this machine. Browsers leave the scheme's own port out."""
    plain = f"[{host}]" if ":" in host else host
    names = {plain, "localhost", "127.0.0.1", "[::1]"}
    return {f"{name}:{port}" for name in names} | (names if port == PORTS[scheme] else set())
