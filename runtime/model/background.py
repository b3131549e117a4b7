"""Something done in a thread of its own while its maker goes on. `concurrent.futures` would bring
the logging module, milliseconds before a first frame."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Aside(Generic[Result]):
    """Begins to call `work` at once; `result` waits for what it returns or raises."""

    def __init__(self, work: Callable[[], Result], name: str) -> None:
        self._work = work
        self._found: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the work is over, whatever came of it."""
        self._thread.join()

    def result(self) -> Result:
        """What the work returned; raises what it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # carried to who asks for the result
            self._error = error
