"""Async iterators as classes, and grouping by time.

User code may drop an async iterator at any point: inside a generator of its own that nobody closes, say. An async
generator that is dropped is closed by the event loop, at a time nobody knows and in no particular task; an object of a
class is merely forgotten. So whatever is handed to user code is a class, and holds no task or scope open meanwhile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

from agentrun import _ambient
from agentrun._run_context import RunContext, set_current_run_context

__all__ = ('Grouped', 'InRun', 'Once', 'Steps', 'Then')

T = TypeVar('T')


class Steps(ABC, Generic[T]):
    """An async iterator made of one method; over, like a generator, once that has raised or has been cancelled."""

    _over = False

    @abstractmethod
    async def _step(self) -> T:
        """Return the next item.

        Raises:
            StopAsyncIteration: If there is none.
        """

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._over:
            raise StopAsyncIteration
        self._over = True
        item = await self._step()
        self._over = False
        return item

    async def aclose(self) -> None:
        """Hand out nothing more."""
        self._over = True


class Once(Steps[T]):
    """A single item.

    Args:
        item: The item.
    """

    def __init__(self, item: T) -> None:
        self._item = item
        self._given = False

    async def _step(self) -> T:
        if self._given:
            raise StopAsyncIteration
        self._given = True
        return self._item


class Then(Steps[T]):
    """The items of another iterator; when there are no more, something is done once.

    Args:
        items: The other iterator.
        do: What is done at its end, before this one ends.
    """

    def __init__(self, items: AsyncIterator[T], do: Callable[[], Awaitable[None]]) -> None:
        self._items = items
        self._do = do

    async def _step(self) -> T:
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            pass
        await self._do()
        raise StopAsyncIteration


class InRun(Generic[T]):
    """The items of another iterator, each asked for as a part of a run: with its clock, ids and context.

    It adds no more than that, for every event of a stream passes through it.

    Args:
        items: The other iterator.
        source: Where the run's clock readings and ids come from.
        context: The run's context at this step.
    """

    def __init__(self, items: AsyncIterator[T], source: _ambient.Source, context: RunContext[object]) -> None:
        self._next = items.__anext__
        self._source = source
        self._context = context

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        with _ambient.use(self._source), set_current_run_context(self._context):
            return await self._next()


class Grouped(Steps[list[T]]):
    """The items of another iterator in groups, so that a fast stream costs less.

    Times are compared when an item arrives: it closes its group if that has been open for the interval. So a stream
    slower than the interval comes item by item, a fast one in a group for each interval, and nothing waits in the
    background. (pydantic-ai 1.38 waits for items in a task of its own.)

    Args:
        items: The other iterator.
        interval: Seconds; None: each item is a group.

    Raises:
        ValueError: If the interval is negative.
    """

    def __init__(self, items: AsyncIterator[T], interval: float | None) -> None:
        if interval is not None and interval < 0:
            raise ValueError(f'`debounce_by` must be None or seconds, at least 0, not {interval!r}.')
        self._items = items
        self._interval = interval
        self._since = monotonic()

    async def _step(self) -> list[T]:
        if self._interval is None:
            return [await anext(self._items)]
        group: list[T] = []
        async for item in self._items:
            group.append(item)
            if monotonic() - self._since >= self._interval:
                break
        if not group:
            raise StopAsyncIteration
        self._since = monotonic()
        return group
