"""Something done in a thread of its own while its maker goes on. `concurrent.futures` would bring
the logging module, milliseconds before a first frame."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

Result = TypeVar("Result")
# Seconds between two looks: where a long wait is deaf to Ctrl-C (Windows), short ones are not.
POLL_S = 0.5


class Aside(Generic[Result]):
    """Begins to call `work` at once; `result` waits for what it returns or raises."""

    def __init__(self, work: Callable[[], Result], name: str) -> None:
        self._work = work
        self._found: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """The number of the thread, as `threading.get_ident` says it there."""
        return self._thread.ident or 0

    def wait(self, limit: float) -> bool:
        """Until the work is over, whatever came of it.

        Args:
            limit: seconds.

        Returns:
            whether it is over.
        """
        until = monotonic() + limit
        while self._thread.is_alive() and (left := until - monotonic()) > 0:
            self._thread.join(min(left, POLL_S))
        return not self._thread.is_alive()

    def result(self) -> Result:
        """What the work returned, however long that takes; raises what it raised."""
        self.wait(float("inf"))
        if self._error is not None:
            raise self._error
        return self._found[0]

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # carried to who asks for the result
            self._error = error
