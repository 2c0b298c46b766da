"""Tools that a replay executes: all the same, or to compare."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentrun import Agent
from agentrun.messages import FunctionToolResultEvent, ModelMessage, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel
from replay import Diverged, use_cassette

pytestmark = pytest.mark.anyio

CALLS = 50


def agent_with(ran: list[int], *, plus: int = 0, slow_first: bool = False) -> Agent[None, str]:
    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart('look', {'at': at}, f'c{at}') for at in range(CALLS)])
        return ModelResponse([TextPart('Done')])

    agent = Agent(FunctionModel(model), name='agent')

    @agent.tool_plain
    async def look(at: int) -> int:
        delay = (CALLS - at if slow_first else at * 7 % CALLS) / 5000
        await anyio.sleep(delay)
        ran.append(at)
        return at + plus

    return agent


async def order_of(agent: Agent[None, str]) -> list[str]:
    found: list[str] = []
    async with agent.iter('Hi') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    found += [one.tool_call_id async for one in events if isinstance(one, FunctionToolResultEvent)]
    return found


@pytest.mark.parametrize('tools', ['live', 'verify', {'*': 'live'}, 'replay'])
async def test_calls_end_in_the_recorded_order(tools: str | Mapping[str, str], tmp_path: Path):
    ran: list[int] = []
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await order_of(agent_with(ran))
    ran.clear()
    with use_cassette('a', dir=tmp_path, tools=tools):
        assert await order_of(agent_with(ran, slow_first=True)) == one
    assert sorted(ran) == ([] if tools == 'replay' else list(range(CALLS)))


@pytest.mark.parametrize(('tools', 'node'), [('live', 'ModelRequestNode'), ('verify', 'CallToolsNode')])
async def test_another_result_leaves_the_recording(tools: str, node: str, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await agent_with([]).run('Hi')
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path, tools=tools):
        await agent_with([], plus=1).run('Hi')
    assert caught.value.divergence.cause == 'tool result'
    assert caught.value.divergence.kind == node
