"""How a run is given its tools: one toolset around all that it would have had, so that each call comes through it.

Calls come by the name that the model knows, and once each, whatever wrappers lie below. Only toolsets that stand for a
server are wrapped one by one.
"""

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from typing import Any, cast

from pydantic_ai.agent import Agent
from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, WrapperToolset
from pydantic_ai.toolsets._dynamic import DynamicToolset

from replay.adapters.pydantic_ai._calls import TapedCalls
from replay.adapters.pydantic_ai._executed import Work
from replay.adapters.pydantic_ai._holds import is_server
from replay.adapters.pydantic_ai._outcomes import return_annotation
from replay.adapters.pydantic_ai._servers import Servers, TapedServer
from replay.canon import Json, JsonObject

__all__ = ('TapedTools', 'TapedToolset', 'approved_calls', 'work_of')


@dataclass
class TapedToolset(WrapperToolset[Any]):
    """A toolset whose calls are recorded, or answered from the recording."""

    calls: TapedCalls

    async def get_tools(self, ctx: Any) -> dict[str, Any]:
        """The tools as they are; what kinds they are is noted."""
        tools = await super().get_tools(ctx)
        self.calls.kinds.update({name: tool.tool_def.kind for name, tool in tools.items()})
        return tools

    async def call_tool(self, name: str, tool_args: dict[str, Any], ctx: Any, tool: Any) -> Any:
        """Call a tool, or give what came of it when it was recorded."""
        return await self.calls.call(work_of(self.wrapped, name, tool_args, ctx, tool))


class TapedTools:
    """The tools of one run.

    Args:
        calls: Its calls.
    """

    def __init__(self, calls: TapedCalls) -> None:
        self.servers = Servers(calls)
        self.calls = calls

    def facts(self) -> JsonObject:
        """Facts of the run that no message tells: what its servers offered."""
        noted = self.servers.noted
        return {'servers': cast('Json', noted)} if noted else {}

    def around(self, toolset: AbstractToolset[Any]) -> TapedToolset:
        """Wrap a toolset, and each one in it that stands for a server."""
        return TapedToolset(toolset.visit_and_replace(self._leaves('')), self.calls)

    @contextmanager
    def given(self, agent: Any, kwargs: Mapping[str, Any]) -> Generator[dict[str, Any]]:
        """Let the run that begins in the block have its tools wrapped.

        Args:
            agent: The agent.
            kwargs: What its `iter` is to be called with.

        Yields:
            What to call it with.
        """
        if _takes_capabilities():
            given = kwargs.get('capabilities') or ()
            self.calls.decided_within = any(map(_decides_calls, (getattr(agent, '_root_capability', None), *given)))
            yield {**kwargs, 'capabilities': [*given, _capability()(self)]}
            return
        toolsets = list(agent.toolsets)
        if agent._override_toolsets.get() is None:  # noqa: SLF001, an override outranks toolsets of the call
            toolsets += kwargs.get('toolsets') or ()
        with agent.override(tools=[], toolsets=[self.around(CombinedToolset(toolsets))]):
            yield dict(kwargs)

    def _leaves(self, name: str) -> Callable[[AbstractToolset[Any]], AbstractToolset[Any]]:
        """Make what wraps the leaves of a toolset that need it, named by their ids or their places."""
        places = count(1)

        def leaf(toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
            if isinstance(toolset, DynamicToolset):
                return self._dynamic(toolset, f'{name}/dynamic {next(places)}')
            if not is_server(toolset):
                return toolset
            return TapedServer(toolset, self.servers, toolset.id or f'{name}/server {next(places)}'.lstrip('/'))

        return leaf

    def _dynamic(self, toolset: Any, name: str) -> AbstractToolset[Any]:
        """The same toolset, where what its function makes is looked through, too."""
        found = copy(toolset)
        make = toolset.toolset_func

        async def made(ctx: Any) -> AbstractToolset[Any] | None:
            inner = make(ctx)
            inner = await inner if inspect.isawaitable(inner) else inner
            return None if inner is None else inner.visit_and_replace(self._leaves(name.lstrip('/')))

        found.toolset_func = made
        return found


def approved_calls(deferred: Any) -> set[str]:
    """Ids of the calls that results handed in for a run allow to run.

    Args:
        deferred: `DeferredToolResults`, or None.
    """
    approvals: dict[str, Any] = {} if deferred is None else deferred.approvals
    return {
        call_id
        for call_id, approval in approvals.items()
        if approval is True or getattr(approval, 'kind', None) == 'tool-approved'
    }


def work_of(toolset: AbstractToolset[Any], name: str, args: dict[str, Any], ctx: Any, tool: Any) -> Work:
    """What there is to do for a call that came through to a toolset, by the arguments of its `call_tool`."""
    return Work(
        call_id=ctx.tool_call_id or '',
        messages=ctx.messages,
        args=args,
        annotation=return_annotation(tool),
        do=lambda args: toolset.call_tool(name, args, ctx, tool),
        validated=lambda args: _validated(tool.args_validator, args, ctx),
    )


def _validated(validator: Any, args: Any, ctx: Any) -> dict[str, Any]:
    """Make valid arguments of JSON text or of a dict, as the library does."""
    validate = validator.validate_json if isinstance(args, str) else validator.validate_python
    return validate(args, context=getattr(ctx, 'validation_context', None))


@cache
def _takes_capabilities() -> bool:
    """Whether a run takes capabilities, which may wrap its tools."""
    return 'capabilities' in inspect.signature(Agent.iter).parameters


def _decides_calls(capability: Any) -> bool:
    """Whether a capability, or one inside of it, decides about calls that are put off."""
    inner = [*getattr(capability, 'capabilities', ()), *filter(None, [getattr(capability, 'wrapped', None)])]
    if inner:
        return any(map(_decides_calls, inner))
    base = getattr(_capabilities().AbstractCapability, 'handle_deferred_tool_calls', None)
    return getattr(cast('object', type(capability)), 'handle_deferred_tool_calls', base) is not base


def _capabilities() -> Any:
    return import_module('pydantic_ai.capabilities')  # not in all versions


@cache
def _capability() -> Any:
    """The capability that wraps the tools of a run; as the last one it is the innermost."""
    base = _capabilities().AbstractCapability

    def __init__(self: Any, tools: TapedTools) -> None:  # noqa: N807, the name of the method
        self.tools = tools

    def get_wrapper_toolset(self: Any, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        return self.tools.around(toolset)

    return type('TapedCapability', (base,), {'__init__': __init__, 'get_wrapper_toolset': get_wrapper_toolset})
