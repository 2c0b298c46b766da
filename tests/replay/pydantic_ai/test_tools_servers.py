"""Servers of tools: started while a run is recorded, and not at all in a replay."""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')
mcp = pytest.importorskip('pydantic_ai.mcp', reason='servers need the package mcp')

from pydantic_ai import Agent  # noqa: E402
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402
from pydantic_ai.toolsets import AbstractToolset  # noqa: E402

from replay import use_cassette  # noqa: E402

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name('mcp_server.py')


def server(log: Path) -> Any:
    """The toolset for a server process, of the class that the installed version has."""
    args = [str(SCRIPT), str(log)]
    if 'MCPServerStdio' in vars(mcp):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            return mcp.MCPServerStdio(sys.executable, args, timeout=60)
    transports: Any = import_module('fastmcp.client.transports')
    return mcp.MCPToolset(transports.StdioTransport(sys.executable, args))


def starts(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def calling(*turns: Sequence[ToolCallPart] | str, seen: list[Any] | None = None) -> FunctionModel:
    left = list(turns)

    def answer(_messages: Any, info: Any) -> ModelResponse:
        if seen is not None:
            seen.append(sorted(tool.name for tool in info.function_tools))
        turn = left.pop(0)
        return ModelResponse(parts=[TextPart(turn)] if isinstance(turn, str) else list(turn))

    return FunctionModel(answer)


async def played(
    make: Callable[[], Agent[Any, Any]], folder: Path, *, entered: bool = False, times: int = 3
) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(times):
        agent = make()
        with use_cassette('one', dir=folder, record='once'):
            if entered:
                async with agent:
                    found.append((await agent.run('Go')).all_messages_json())
            else:
                found.append((await agent.run('Go')).all_messages_json())
    return found


@pytest.mark.parametrize('entered', [False, True])
@pytest.mark.parametrize('prefixed', [False, True])
async def test_a_server_is_started_while_recording_and_never_in_a_replay(prefixed: bool, entered: bool, tmp_path: Path):
    log = tmp_path / 'log'
    prefix = 'my_' if prefixed else ''

    def make() -> Agent[None, str]:
        calls = [
            ToolCallPart(f'{prefix}add', {'a': 1, 'b': 2}, tool_call_id='c0'),
            ToolCallPart(f'{prefix}spell', {'n': 2}, tool_call_id='c1'),
        ]
        fails = [ToolCallPart(f'{prefix}add', {'a': 1, 'b': -2}, tool_call_id='c2')]
        toolset = server(log).prefixed('my') if prefixed else server(log)
        return Agent(calling(calls, fails, 'Done'), name='agent', toolsets=[toolset])

    found = await played(make, tmp_path, entered=entered)
    assert starts(log) == 1
    assert found[1:] == [found[0]] * 2
    assert b'two' in found[0]
    assert b'Error executing tool add' in found[0]


async def test_an_agent_that_is_entered_keeps_its_server_over_several_runs(tmp_path: Path):
    log = tmp_path / 'log'
    for _ in range(2):
        call = [ToolCallPart('spell', {'n': 1}, tool_call_id='c0')]
        agent = Agent(calling(call, 'One', call, 'Two'), name='agent', toolsets=[server(log)])
        with use_cassette('one', dir=tmp_path, record='once'):
            async with agent:
                await agent.run('Go')
                await agent.run('Again')
        assert starts(log) == 1


@pytest.mark.skipif(
    not hasattr(AbstractToolset, 'for_run'),
    reason='this version stops such a server in another task than it started it',
)
async def test_a_server_that_a_function_makes_is_not_started_in_a_replay(tmp_path: Path):
    log = tmp_path / 'log'

    def make() -> Agent[None, str]:
        call = [ToolCallPart('spell', {'n': 1}, tool_call_id='c0')]
        agent = Agent(calling(call, 'Done'), name='agent')

        @agent.toolset(per_run_step=False)
        def tools(_ctx: Any) -> Any:
            return server(log)

        return agent

    found = await played(make, tmp_path, times=2)
    assert starts(log) == 1
    assert found[0] == found[1]


async def test_tools_of_a_server_can_be_live_in_a_replay(tmp_path: Path):
    log = tmp_path / 'log'

    def make() -> Agent[None, str]:
        call = [ToolCallPart('spell', {'n': 1}, tool_call_id='c0')]
        return Agent(calling(call, 'Done'), name='agent', toolsets=[server(log)])

    with use_cassette('one', dir=tmp_path, record='once'):
        await make().run('Go')
    with use_cassette('one', dir=tmp_path, tools='verify'):
        await make().run('Go')
    assert starts(log) == 2
