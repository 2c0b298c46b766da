"""Running async code to its end from code that is not async."""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

__all__ = ('run_blocking',)

T = TypeVar('T')


class _Loop:
    """An asyncio loop that a thread keeps between calls: connections, say, outlive a call and are bound to it."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        # Goes with the thread, whose local names alone hold this object; the loop of the main thread goes at exit.
        weakref.finalize(self, runner.close)


class _Loops(threading.local):
    """The loop of the current thread."""

    loop: _Loop | None = None


_loops = _Loops()


def run_blocking(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Call an async function and wait for what it returns, on an asyncio loop of this thread.

    Args:
        call: The function, without arguments; called only if no loop is running.

    Raises:
        RuntimeError: If the thread runs an event loop already, of asyncio or trio.
    """
    if _runs_a_loop():
        raise RuntimeError('This event loop is already running: in async code, use `await agent.run(...)` instead.')
    import asyncio

    if _loops.loop is None:
        _loops.loop = _Loop(asyncio.Runner(loop_factory=asyncio.new_event_loop))
    return _loops.loop.runner.run(call(), context=contextvars.copy_context())


def _runs_a_loop() -> bool:
    """Tell whether this thread runs a loop; a library that is not loaded runs none."""
    asyncio, trio = sys.modules.get('asyncio'), sys.modules.get('trio')
    running = getattr(asyncio, '_get_running_loop', None)  # while another thread imports asyncio, it is not there yet
    if running is not None and running() is not None:
        return True
    return trio is not None and trio.lowlevel.in_trio_run()
