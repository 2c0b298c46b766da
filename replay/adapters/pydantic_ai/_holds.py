"""Servers that a block of `async with agent:` keeps: started when a recording needs them, and never by a replay."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, WrapperToolset

__all__ = ('begin_held', 'holding', 'is_server')

_KINDS = frozenset(
    {'pydantic_ai.mcp.MCPServer', 'pydantic_ai.mcp.MCPToolset', 'pydantic_ai.toolsets.fastmcp.FastMCPToolset'}
)


def is_server(toolset: AbstractToolset[Any]) -> bool:
    """Whether a toolset stands for a server."""
    return any(f'{kind.__module__}.{kind.__qualname__}' in _KINDS for kind in type(toolset).__mro__)


@contextmanager
def holding(agent: Any) -> Generator[None]:
    """Let an agent that is entered in the block hold its servers instead of starting them."""

    def held(leaf: AbstractToolset[Any]) -> AbstractToolset[Any]:
        return _Held(leaf) if is_server(leaf) else leaf

    toolsets = CombinedToolset[Any](list(agent.toolsets)).visit_and_replace(held)
    with agent.override(tools=[], toolsets=[toolsets]):
        yield


async def begin_held(server: AbstractToolset[Any]) -> None:
    """Start a server that an agent holds, unless it is started; it runs until the agent lets go."""
    hold = _holds.get(id(server))
    if hold is not None:
        await hold.begin(server)


class _Hold:
    """Keeps a server running in a task of its own: who needs it first need not be there to the end."""

    def __init__(self) -> None:
        self.count = 1
        self._over = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self, server: AbstractToolset[Any]) -> None:
        """Start the server, and wait until it runs.

        Raises:
            Exception: What the server fails with.
        """
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._keep(server, self._ready))
        await asyncio.shield(self._ready)

    async def end(self) -> None:
        """Stop the server."""
        self._over.set()
        if self._task is not None:
            await self._task

    async def _keep(self, server: AbstractToolset[Any], ready: 'asyncio.Future[None]') -> None:
        try:
            async with server:
                ready.set_result(None)
                await self._over.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)


_holds: dict[int, _Hold] = {}
"""What is held, by the identity of the server's toolset."""


@dataclass
class _Held(WrapperToolset[Any]):
    """A server while an agent is entered."""

    async def __aenter__(self) -> Self:
        """Hold the server."""
        hold = _holds.get(id(self.wrapped))
        if hold is None:
            _holds[id(self.wrapped)] = _Hold()
        else:
            hold.count += 1
        return self

    async def __aexit__(self, *args: object) -> bool | None:
        """Let go of it."""
        hold = _holds[id(self.wrapped)]
        hold.count -= 1
        if not hold.count:
            del _holds[id(self.wrapped)]
            await hold.end()
        return None
