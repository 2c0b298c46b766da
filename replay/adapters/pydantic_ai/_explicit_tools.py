"""Recording by wrapping: toolsets whose calls belong to the runs of wrapped models."""

from dataclasses import dataclass
from typing import Any

from pydantic_ai.toolsets import AbstractToolset, WrapperToolset

from replay.adapters.pydantic_ai._explicit import is_asking, run_of_calls
from replay.adapters.pydantic_ai._runs import current
from replay.adapters.pydantic_ai._toolsets import work_of

__all__ = ('record_toolset',)


def record_toolset(toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
    """Wrap a toolset, so that sessions record its calls and answer them in a replay, without any hook in the library.

    Hand it to an agent whose model is wrapped by `record_model`, and open the session with
    `use_cassette(..., patch=False)`: its calls are kept with the run of the answer that made them. Outside of sessions,
    of such runs, and in runs that a session follows by hooks, it does what the toolset does. A server that the toolset
    stands for is started in a replay, too, for its tools are asked before any run is known.

    Args:
        toolset: The toolset.

    Returns:
        The toolset to use in its place.
    """
    return _RecordedToolset(toolset)


_kinds: dict[str, dict[str, str]] = {}
"""Kinds of the tools of wrapped toolsets, by the ids of the library's runs that have them."""


@dataclass
class _RecordedToolset(WrapperToolset[Any]):
    """A toolset whose calls sessions record and replay."""

    async def get_tools(self, ctx: Any) -> dict[str, Any]:
        """The tools as they are; what kinds they are is noted."""
        tools = await super().get_tools(ctx)
        if is_asking():
            _kinds.setdefault(ctx.run_id, {}).update({name: tool.tool_def.kind for name, tool in tools.items()})
        else:
            _kinds.clear()
        return tools

    async def call_tool(self, name: str, tool_args: dict[str, Any], ctx: Any, tool: Any) -> Any:
        """Call a tool, or give what came of it when it was recorded."""
        run = None if current.get() is not None else run_of_calls(ctx.messages)
        if run is None:
            return await self.wrapped.call_tool(name, tool_args, ctx, tool)
        if run.usage is None:
            run.counts_into(ctx.usage)
        run.tools.calls.kinds = _kinds[ctx.run_id]
        return await run.tools.calls.call(work_of(self.wrapped, name, tool_args, ctx, tool))
