"""Cancellation: told from other errors in a recording, waited for where a replay is to be cancelled, too."""

import math
import signal
import sys
from collections.abc import Callable
from typing import cast

__all__ = ('PATIENCE', 'being_cancelled', 'is_cancellation', 'is_ctrl_c', 'let_others_come', 'to_be_cancelled')

PATIENCE = 10.0
"""Seconds that a replay waits to be cancelled where its recording was: without an end it might wait for ever."""

_LOOKS, _BETWEEN_LOOKS = 200, 0.005  # a second: perhaps those runs wait for this one


def is_cancellation(error: BaseException) -> bool:
    """Whether an error is how the event loop that runs cancels a task, alone or in groups of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_cancellation, cast('BaseExceptionGroup[BaseException]', error).exceptions))
    import anyio  # a replay that is not cancelled does not need it

    return isinstance(error, anyio.get_cancelled_exc_class())


def is_ctrl_c(error: BaseException | None) -> bool:
    """Whether a task was cancelled because of Ctrl-C: asyncio does that, and raises `KeyboardInterrupt` at its end.

    Only its runner knows, which handles the signal; and it tells nobody before.
    """
    asyncio = sys.modules.get('asyncio')
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return False
    runner = getattr(getattr(signal.getsignal(signal.SIGINT), 'func', None), '__self__', None)
    return getattr(runner, '_interrupt_count', 0) > 0


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


async def let_others_come(have_to_come: Callable[[], bool]) -> None:
    """Wait a moment for runs that go on at the same time to come to where they were cancelled.

    It was perhaps because this run ended that they were; and a replay ends at once.

    Args:
        have_to_come: Whether there are any that did not come so far yet.
    """
    import anyio

    for _ in range(_LOOKS):
        if not have_to_come():
            break
        await anyio.sleep(_BETWEEN_LOOKS)


async def to_be_cancelled() -> float:
    """Wait to be cancelled.

    Returns:
        How many seconds have passed without that.
    """
    import anyio

    await anyio.sleep(PATIENCE)
    return PATIENCE
