"""A toolset that a function makes when the run gets to it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from typing_extensions import override

from agentrun._records import changed
from agentrun._run_context import AgentDepsT, RunContext

from ._abstract import AbstractToolset, ToolsetTool

__all__ = ('DynamicToolset', 'ToolsetFunc')

ToolsetFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]],
    AbstractToolset[AgentDepsT] | Awaitable[AbstractToolset[AgentDepsT] | None] | None,
]
"""A function, sync or async, that makes a toolset for a run context, or none."""


class DynamicToolset(AbstractToolset[AgentDepsT]):
    """A toolset that a function makes anew at each step, or once for each run.

    It holds the toolset of one run, so each run needs a `copy`.
    """

    def __init__(
        self, toolset_func: ToolsetFunc[AgentDepsT], *, per_run_step: bool = True, id: str | None = None
    ) -> None:
        """Make a toolset.

        Args:
            toolset_func: Makes the toolset; None from it: no tools.
            per_run_step: Whether it is asked at each step, or once for each run.
            id: Name of the toolset that is unique among those of an agent.
        """
        self.toolset_func = toolset_func
        self.per_run_step = per_run_step
        self._id = id
        self._toolset: AbstractToolset[AgentDepsT] | None = None
        self._run_step: int | None = None

    @property
    @override
    def id(self) -> str | None:
        return self._id

    def copy(self) -> DynamicToolset[AgentDepsT]:
        """Make a toolset of the same function that holds none yet."""
        return DynamicToolset(self.toolset_func, per_run_step=self.per_run_step, id=self._id)

    @override
    async def __aexit__(self, *args: object) -> bool | None:
        toolset, self._toolset, self._run_step = self._toolset, None, None
        return None if toolset is None else await toolset.__aexit__(*args)

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        if self._toolset is None or (self.per_run_step and ctx.run_step != self._run_step):
            await self._make(ctx)
        return {} if self._toolset is None else await self._toolset.get_tools(ctx)

    async def _make(self, ctx: RunContext[AgentDepsT]) -> None:
        """Leave the toolset of the step before, make one for this step and enter it."""
        if self._toolset is not None:
            await self._toolset.__aexit__()
        made = self.toolset_func(ctx)
        toolset = await made if inspect.isawaitable(made) else made
        if toolset is not None:
            await toolset.__aenter__()
        self._toolset = toolset
        self._run_step = ctx.run_step

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        if self._toolset is None:
            raise RuntimeError(f'{self.label} holds no toolset: list its tools inside a run before calling {name!r}')
        return await self._toolset.call_tool(name, tool_args, ctx, tool)

    @override
    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        if self._toolset is None:
            super().apply(visitor)
        else:
            self._toolset.apply(visitor)

    @override
    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        if self._toolset is None:
            return super().visit_and_replace(visitor)
        return changed(self, _toolset=self._toolset.visit_and_replace(visitor))
