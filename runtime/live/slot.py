"""The newest-frame slot: one place between two threads that holds one item, the latest.

A queue between a fast and a slow stage fills up, and then every frame is as late as the queue is
long. Here a new item takes the place of one that nobody fetched: a slow consumer costs frames,
never delay. Errors travel with the items: whoever fetches next gets the producer's exception.
"""

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Closed(Exception):
    """Nothing more will come out of this slot."""


class Empty(Exception):
    """Nothing came within the time allowed."""


class Slot(Generic[Item]):
    """One item at most; `put` never blocks.

    Attributes:
        dropped: how many items were replaced before anybody fetched them.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._item: Item | None = None
        self._full = False
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Offer `item`; one still waiting is dropped. After `close` it is ignored."""
        with self._change:
            if self._closed:
                return
            self.dropped += self._full
            self._item, self._full = item, True
            self._change.notify_all()

    def get(self, timeout: float | None = None) -> Item:
        """Take the newest item, waiting for it.

        Args:
            timeout: seconds to wait at most; None waits until an item or the end comes.

        Raises:
            Empty: the time is over.
            Closed: the producer has finished and nothing is left.
            BaseException: what the producer gave to `close`.
        """
        with self._change:
            self._change.wait_for(lambda: self._full or self._closed, timeout)
            if self._full:
                item, self._item, self._full = self._item, None, False
                self._change.notify_all()
                return item  # type: ignore[return-value]  # full means an Item is there
            if self._error is not None:
                raise self._error
            if self._closed:
                raise Closed
            raise Empty

    def wait_taken(self, timeout: float | None = None) -> bool:
        """Wait until the slot is empty or closed; False if the time is over first.

        A stage that waits here *before* it fetches its next input never makes a result that would
        be thrown away, and what it fetches afterwards is fresh.
        """
        with self._change:
            return self._change.wait_for(lambda: not self._full or self._closed, timeout)

    def close(self, error: BaseException | None = None) -> None:
        """No more items will come; one already inside can still be fetched. Idempotent.

        Args:
            error: raised by the next `get` after the last item; the first one given is kept.
        """
        with self._change:
            self._closed = True
            self._error = self._error or error
            self._change.notify_all()

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed
