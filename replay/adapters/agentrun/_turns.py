"""Tools executed in a replay: the order in which they ended enacted again, or all of them at the same time."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import anyio

__all__ = ('Turns', 'side_by_side')


class Turns:
    """Lets calls end in a given order.

    Args:
        order: Indexes of calls, the first to end first.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._after = dict(pairwise(order))
        self._events = {index: anyio.Event() for index in order}
        self._events[order[0]].set()

    async def take(self, index: int) -> None:
        """Wait until all calls before this one have ended; the next one is then let go as soon as this one waits."""
        if not self._events[index].is_set():  # to wait all the same is a place to be cancelled at
            await self._events[index].wait()
        following = self._after.get(index)
        if following is not None:
            self._events[following].set()


async def side_by_side(calls: Sequence[Callable[[], Awaitable[object]]], *, one_by_one: bool) -> None:
    """Make calls at the same time, or in order. The first error cancels the others and is raised as itself."""
    failures: list[Exception] = []

    async def make(call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except Exception as error:  # noqa: BLE001, raised below, outside of the group, which would wrap it
            failures.append(error)
            group.cancel_scope.cancel()

    if one_by_one:
        for call in calls:
            await call()
        return
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(make, call)
    if failures:
        raise failures[0]
