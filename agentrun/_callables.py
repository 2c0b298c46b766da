"""User functions: told apart as sync or async, and called accordingly.

Whatever a user hands over (a tool, an output function, a validator, a prompt function) may be either. Async functions
are awaited where they are; sync functions run in a worker thread, so that one that blocks does not stop the event loop,
unless the user says with `sync_inline` that none does.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from typing_extensions import TypeIs

__all__ = ('call_function', 'is_async_callable', 'run_in_thread', 'sync_inline')

T = TypeVar('T')

_inline: ContextVar[bool] = ContextVar('sync_inline', default=False)


@contextmanager
def sync_inline() -> Generator[None]:
    """Call the sync functions of runs where they are needed, without a worker thread, while the block is open.

    For functions that compute and never block: a worker thread costs each call some 40 microseconds. A
    function that blocks stops everything else on the event loop, and one that starts a run of its own needs an async
    form. The switch belongs to the context: other tasks and threads are not touched.
    """
    token = _inline.set(True)
    try:
        yield
    finally:
        _inline.reset(token)


def is_async_callable(function: Callable[..., Any]) -> TypeIs[Callable[..., Awaitable[Any]]]:
    """Tell whether calling `function` gives something to await.

    Sees through `functools.partial` and recognises objects whose `__call__` is async.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def run_in_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call a sync function in a worker thread, with a copy of the caller's context variables, and return its value.

    Inside `sync_inline` it is called here. A cancelled caller waits for the thread to end: a running function cannot be
    stopped from outside.
    """
    if _inline.get():
        return function(*args, **kwargs)
    from anyio import to_thread

    return await to_thread.run_sync(functools.partial(function, *args, **kwargs))


async def call_function(function: Callable[..., Any], /, *args: Any, is_async: bool) -> Any:
    """Call a user's function, awaited if it is async, in a worker thread if not.

    Args:
        function: The function to call.
        *args: Its positional arguments.
        is_async: What `is_async_callable` said of it; asked once, when the function was registered.

    Returns:
        What the function returned.
    """
    if is_async:
        return await function(*args)
    return await run_in_thread(function, *args)
