"""The order in which calls end, enacted again while tools are executed in a replay."""

from collections.abc import Sequence
from itertools import pairwise

import anyio
import anyio.lowlevel

__all__ = ('Turns',)


class Turns:
    """Lets calls end in a given order. A call that is not in it ends last, if the end of another does not cancel it.

    Args:
        order: Indexes of calls, the first to end first.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._after = dict(pairwise(order))
        self._events = {index: anyio.Event() for index in order}
        self._over = anyio.Event()
        (self._events[order[0]] if order else self._over).set()

    async def take(self, index: int) -> None:
        """Wait until all calls before this one have ended; the next one is then let go as soon as this one waits."""
        if index not in self._events:
            await self._over.wait()
            await anyio.lowlevel.checkpoint()  # here it learns that the last call has failed
            return
        await self._events[index].wait()
        following = self._after.get(index)
        (self._over if following is None else self._events[following]).set()
