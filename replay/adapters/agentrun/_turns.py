"""The order in which calls end, enacted again while tools are executed in a replay."""

from collections.abc import Sequence
from itertools import pairwise

import anyio

__all__ = ('Turns',)


class Turns:
    """Lets calls end in a given order. A call that is not in it waits until it is cancelled.

    Args:
        order: Indexes of calls, the first to end first.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._after = dict(pairwise(order))
        self._events = {index: anyio.Event() for index in order}
        if order:
            self._events[order[0]].set()

    async def take(self, index: int) -> None:
        """Wait until all calls before this one have ended; the next one is then let go as soon as this one waits."""
        if index not in self._events:
            await anyio.sleep_forever()
        await self._events[index].wait()
        if index in self._after:
            self._events[self._after[index]].set()
