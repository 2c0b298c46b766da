"""The order in which calls of one response end: as they do, or as they once did."""

from collections.abc import Sequence
from functools import cached_property

import anyio
import anyio.lowlevel

__all__ = ('Exits',)

_PAUSE = 6
"""Turns of the loop from the end of a call until the library has told of it and waits for the next one."""


class Exits:
    """Lets the calls of a batch end one at a time, far enough apart for the library to see each by itself.

    pydantic_ai looks at a set of tasks after each wait; two that ended meanwhile come in an order that nobody knows.

    Args:
        order: Indexes of the calls, the first to end first; None: in the order in which they come to leave.
        crowded: Whether there is more than one call.
    """

    def __init__(self, order: Sequence[int] | None, *, crowded: bool) -> None:
        self._rank = None if order is None else {index: rank for rank, index in enumerate(order)}
        self._crowded = crowded
        self._inside: set[int] = set()
        self._waiting: dict[int, anyio.Event] = {}

    def enter(self, index: int) -> None:
        """Take note that a call has begun: those that are to end after it wait for it."""
        if self._rank is not None and index in self._rank:
            self._inside.add(self._rank[index])

    async def leave(self, index: int) -> None:
        """Wait until a call may end. One that is not in the order never does: it waits until the batch is over."""
        if not self._crowded:
            return
        if self._rank is not None and index not in self._rank:
            await self._closed.wait()
            return
        await anyio.lowlevel.checkpoint()  # the calls of a batch begin in one turn of the loop
        await self._turn(index)
        async with self._door:
            for _ in range(_PAUSE):
                await anyio.lowlevel.checkpoint()

    def left(self, index: int) -> None:
        """Take note that a call has ended, however it did."""
        if self._rank is not None and index in self._rank:
            self._inside.discard(self._rank[index])
            self._call_next()

    def close(self) -> None:
        """Let all calls end that never would."""
        if self._crowded:
            self._closed.set()

    @cached_property
    def _door(self) -> anyio.Lock:  # most batches have one call, and need neither
        return anyio.Lock()

    @cached_property
    def _closed(self) -> anyio.Event:
        return anyio.Event()

    def _call_next(self) -> None:
        following = self._waiting.pop(min(self._inside, default=-1), None)
        if following is not None:
            following.set()

    async def _turn(self, index: int) -> None:
        if self._rank is not None and self._rank[index] != min(self._inside):
            event = self._waiting[self._rank[index]] = anyio.Event()
            await event.wait()
