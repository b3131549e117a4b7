"""Work on several cores whose results do not depend on how many there are.

OpenCV and NumPy leave Python's lock while they work on a picture, so threads are enough. Results
are handed out in the order of what they were made from, and no more is begun than a thread each:
memory stays bounded.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from ..engines._threads import allowed_threads

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

# Threads at most: beside them a network paints and an encoder writes.
MOST = 4


class Team:
    """Threads for a while; on one core there are none, and everything is done where it is wanted.

    Args:
        threads: None for as many as there are cores, MOST at most.
    """

    def __init__(self, threads: int | None = None) -> None:
        if threads is None:
            threads = min(MOST, allowed_threads() or os.cpu_count() or 1)
        self._ahead = threads
        self._pool = None
        if threads > 1:
            from concurrent.futures import ThreadPoolExecutor  # brings logging: files only

            self._pool = ThreadPoolExecutor(threads, "stabilize")

    def each(self, make: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """What `make` makes of each item, in order; items are taken in the caller's thread."""
        if self._pool is None:
            yield from map(make, items)
            return
        begun: deque[Future[Result]] = deque()
        for item in items:
            begun.append(self._pool.submit(make, item))
            if len(begun) > self._ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    def together(self, *works: Callable[[], object]) -> None:
        """Do all of them, at the same time where there are cores; raises what one of them raised,
        once all have ended."""
        if self._pool is None:
            for work in works:
                work()
            return
        others = [self._pool.submit(work) for work in works[1:]]
        try:
            works[0]()
        finally:
            errors = [other.exception() for other in others]
        for error in errors:
            if error is not None:
                raise error

    def close(self) -> None:
        """Leave nothing running."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "Team":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
