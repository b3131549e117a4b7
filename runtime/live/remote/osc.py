"""OSC in: `--osc 127.0.0.1:9000` (python-osc). See `table` for the addresses."""

import queue
import threading
from importlib import import_module
from typing import Protocol, cast

from ...cli import say
from ...errors import UsageError
from ..web.server import is_loopback, parse_address
from .table import of_osc

# Unlike messages of which each is said once; more would fill the terminal.
MOST_COMPLAINTS = 20


class _Server(Protocol):
    """What is used of `socketserver.UDPServer`."""

    server_address: tuple[str, int]

    def serve_forever(self, poll_interval: float) -> None: ...

    def shutdown(self) -> None: ...

    def server_close(self) -> None: ...


class OscInput:
    """Listens for OSC messages over UDP; used as a context.

    Args:
        address: "HOST:PORT", "PORT" (this machine), port 0 for any free one.
        actions: where what they mean goes.
        allow_network: others than this machine may send; OSC knows no passwords.
        quiet: no words about messages that mean nothing.

    Attributes:
        port: it listens at.

    Raises:
        UsageError: the address is wrong or taken, or open to others without `allow_network`.
    """

    def __init__(
        self,
        address: str,
        actions: "queue.SimpleQueue[str]",
        *,
        allow_network: bool = False,
        quiet: bool = True,
    ) -> None:
        # python-osc has no types of its own.
        dispatching = import_module("pythonosc.dispatcher")
        serving = import_module("pythonosc.osc_server")
        host, port = parse_address(address, "--osc")
        if not allow_network and not is_loopback(host):
            raise UsageError(
                f'--osc "{address}" lets everybody in that network steer; say --allow-network if '
                "that is what you want"
            )
        self._actions, self._quiet = actions, quiet
        self._complaints: set[str] = set()
        dispatcher = dispatching.Dispatcher()
        dispatcher.set_default_handler(self._receive)
        try:
            made = serving.BlockingOSCUDPServer((host, port), dispatcher)
        except OSError as error:
            raise UsageError(f'--osc "{address}": {error.strerror}; give another port') from None
        # python-osc fails on some of what is no OSC, and its server prints a traceback then.
        made.handle_error = self._fail
        self._server = cast("_Server", made)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            name="osc",
            kwargs={"poll_interval": 0.1},
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)

    def _receive(self, address: str, *values: object) -> None:
        try:
            action = of_osc(address, values)
        except UsageError as error:
            self._complain(str(error))
            return
        if action is not None:
            self._actions.put(action)

    def _fail(self, *_: object) -> None:
        self._complain("--osc: what came is no OSC message")

    def _complain(self, text: str) -> None:
        if text not in self._complaints and len(self._complaints) < MOST_COMPLAINTS:
            self._complaints.add(text)
            say(text, quiet=self._quiet)

    def __enter__(self) -> "OscInput":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
