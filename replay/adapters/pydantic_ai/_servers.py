"""Toolsets that stand for a server: a replay does not start it, and has its tools from the recording."""

import inspect
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, cast

from pydantic import TypeAdapter
from pydantic_ai import messages
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, WrapperToolset
from pydantic_core import to_jsonable_python

from replay.adapters.pydantic_ai._calls import TapedCalls
from replay.adapters.pydantic_ai._holds import begin_held
from replay.canon import Json, JsonObject
from replay.errors import CassetteInconsistent, Where

__all__ = ('Servers', 'TapedServer')


class Servers:
    """What the servers of one run offer, noted or as it was recorded.

    Args:
        calls: The calls of the run.
    """

    def __init__(self, calls: TapedCalls) -> None:
        self.calls = calls
        self.noted: dict[str, list[JsonObject]] = {}
        """What is noted, by server: states, each with the step that it was first seen at."""

    def note(self, key: str, step: int, **facts: Json) -> None:
        """Take note of what a server offers, if it is new."""
        states = self.noted.setdefault(key, [])
        before = states[-1] if states else {}
        now = {**before, **facts, 'step': step}
        if now == {**before, 'step': step}:
            return
        if before.get('step') == step:
            states.pop()
        states.append(now)

    def recorded(self, key: str, step: int) -> JsonObject:
        """What a server offered at a step when it was recorded.

        Raises:
            CassetteInconsistent: If the recording has no such server.
        """
        servers = cast('dict[str, list[JsonObject]]', self.calls.recorded.get('servers', {}))
        states = [state for state in servers.get(key, []) if cast('int', state['step']) <= step]
        if not states:
            raise self.calls.failed(
                CassetteInconsistent(
                    f'the recording does not tell the tools of server {key!r}',
                    expected=f'one of {", ".join(map(repr, servers))}' if servers else 'a run without servers',
                    got=repr(key),
                    where=Where(run=self.calls.run),
                    next=('record the run anew',),
                )
            )
        return states[-1]


@dataclass
class TapedServer(WrapperToolset[Any]):
    """A toolset that stands for a server."""

    servers: Servers
    key: str
    """Its name in the recording."""

    @property
    def id(self) -> str | None:
        """Id of the toolset."""
        return self.wrapped.id

    async def for_run(self, ctx: Any) -> AbstractToolset[Any]:
        """The toolset of a run; in a replay nothing is made anew."""
        return self if self._replaying else await cast('Any', super()).for_run(ctx)

    async def for_run_step(self, ctx: Any) -> AbstractToolset[Any]:
        """The toolset of a step; in a replay nothing is made anew."""
        return self if self._replaying else await cast('Any', super()).for_run_step(ctx)

    async def __aenter__(self) -> Self:
        """Start the server, unless the run is replayed."""
        self._started = not self._replaying
        if self._started:
            await begin_held(self.wrapped)
            await self.wrapped.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> bool | None:
        """Let go of the server, if it was started."""
        return await self.wrapped.__aexit__(*args) if self._started else None

    async def get_tools(self, ctx: Any) -> dict[str, Any]:
        """The tools that the server has, or had at this step when it was recorded."""
        if self._replaying:
            known = cast('dict[str, JsonObject]', self.servers.recorded(self.key, ctx.run_step)['tools'])
            return {name: self._tool(name, facts, ctx) for name, facts in known.items()}
        tools = await self.wrapped.get_tools(ctx)
        self.servers.note(self.key, ctx.run_step, tools={name: _facts(tool.tool_def) for name, tool in tools.items()})
        return tools

    async def get_instructions(self, ctx: Any) -> Any:
        """What the server says about its use, or said."""
        if self._replaying:
            return _instructions(self.servers.recorded(self.key, ctx.run_step).get('instructions'))
        told = await cast('Any', self.wrapped).get_instructions(ctx)
        if told is not None:
            self.servers.note(self.key, ctx.run_step, instructions=to_jsonable_python(told))
        return told

    @property
    def _replaying(self) -> bool:
        return self.servers.calls.replaying

    def _tool(self, name: str, facts: JsonObject, ctx: Any) -> Any:
        known = {field.name for field in fields(ToolDefinition)}
        definition = ToolDefinition(
            **cast('Any', {'name': name} | {key: fact for key, fact in facts.items() if key in known})
        )
        make = cast('Any', self.wrapped).tool_for_tool_def
        context = {'ctx': ctx} if 'ctx' in inspect.signature(make).parameters else {}
        return make(definition, **context)


def _facts(definition: ToolDefinition) -> JsonObject:
    """What a definition says beside its name that is not usual."""
    found: JsonObject = {}
    for field in fields(definition):
        value = getattr(definition, field.name)
        usual = field.default if field.default is not MISSING else None
        if field.name != 'name' and value != usual:
            found[field.name] = to_jsonable_python(value, fallback=repr)
    return found


def _instructions(told: Json) -> Any:
    """Instructions of JSON: text, a part, or several of them."""
    if told is None or isinstance(told, str):
        return told
    if isinstance(told, list):
        return [_instructions(one) for one in told]
    return TypeAdapter[Any](cast('Any', messages).InstructionPart).validate_python(told)  # not in all versions
