"""What must not happen in the middle of a run: an interrupted step, or a second run.

A signal that arrives in the middle of a step would leave weights from after an update beside
moments or random numbers from before it, and a run resumed from that is another run. Signals are
noted and obeyed when the step is complete; a second one is obeyed at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from runtime.outputs import take_lock

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While open, SIGINT and SIGTERM are kept until `obey`. Does nothing outside the main thread,
    where Python delivers no signals."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def obey(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self.asked:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Refuse to train where another process trains: two would overwrite each other's states.

    Raises:
        OutputExists: another run is at work in `folder`.
    """
    refusal = f'another run trains in "{folder}"; wait for it to end, or use another --output'
    lock = take_lock(folder / ".lock", refusal)
    try:
        yield
    finally:
        if lock is not None:
            lock.close()
            (folder / ".lock").unlink(missing_ok=True)
