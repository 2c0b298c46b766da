"""Cancellation: told from other errors in a recording, waited for where a replay is to be cancelled, too."""

import math
from typing import cast

__all__ = ('PATIENCE', 'being_cancelled', 'is_cancellation', 'to_be_cancelled')

PATIENCE = 10.0
"""Seconds that a replay waits to be cancelled where its recording was: without an end it might wait for ever."""


def is_cancellation(error: BaseException) -> bool:
    """Whether an error is how the event loop that runs cancels a task, alone or in groups of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_cancellation, cast('BaseExceptionGroup[BaseException]', error).exceptions))
    import anyio  # a replay that is not cancelled does not need it

    return isinstance(error, anyio.get_cancelled_exc_class())


def being_cancelled() -> bool:
    """Whether the task that runs has been cancelled: what it still does, nobody waits for."""
    import asyncio

    import anyio

    if anyio.current_effective_deadline() == -math.inf:
        return True
    if not issubclass(anyio.get_cancelled_exc_class(), asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def to_be_cancelled() -> float:
    """Wait to be cancelled.

    Returns:
        How many seconds have passed without that.
    """
    import anyio

    await anyio.sleep(PATIENCE)
    return PATIENCE
