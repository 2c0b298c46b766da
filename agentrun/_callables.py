"""User functions: told apart as sync or async, and called accordingly.

Whatever a user hands over (a tool, an output function, a validator, a prompt function) may be either. Async functions
are awaited where they are; sync functions run in a worker thread, so that one that blocks does not stop the event loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from typing_extensions import TypeIs

__all__ = ('call_function', 'is_async_callable', 'run_in_thread')

T = TypeVar('T')


def is_async_callable(function: Callable[..., Any]) -> TypeIs[Callable[..., Awaitable[Any]]]:
    """Tell whether calling `function` gives something to await.

    Sees through `functools.partial` and recognises objects whose `__call__` is async.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def run_in_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call a sync function in a worker thread, with a copy of the caller's context variables, and return its value.

    A cancelled caller waits for the thread to end: a running function cannot be stopped from outside.
    """
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
