"""What tools count into the usage of a run is the same in a replay."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agentrun import Agent, RunContext, RunUsage
from agentrun.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel
from agentrun.models.test import TestModel
from replay import use_cassette
from replay.codec import loads_edited
from replay.errors import CassetteDamaged

pytestmark = pytest.mark.anyio


def calling(*names: str) -> FunctionModel:
    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart(name, {}, f'c{at}') for at, name in enumerate(names)])
        return ModelResponse([TextPart('Done')])

    return FunctionModel(model)


def boss(*names: str) -> Agent[None, str]:
    """An agent whose tools count by themselves, through a run of another agent, or both."""
    inner = Agent(TestModel(), name='inner')
    nested = Agent(calling('own'), name='nested')
    agent = Agent(calling(*names), name='boss')

    @nested.tool(name='own')
    def nested_own(ctx: RunContext[None]) -> str:
        ctx.usage.incr(RunUsage(input_tokens=1000))
        return 'nested'

    @agent.tool
    async def own(ctx: RunContext[None]) -> str:
        await anyio.sleep(0.001)
        ctx.usage.incr(RunUsage(requests=1, input_tokens=7, details={'pages': 2}))
        ctx.usage.output_audio_tokens += 5
        return 'own'

    @agent.tool
    async def asks(ctx: RunContext[None]) -> str:
        return (await inner.run('Hi', usage=ctx.usage)).output

    @agent.tool
    async def both(ctx: RunContext[None]) -> str:
        ctx.usage.cache_read_tokens += 3
        found = (await inner.run('Hi', usage=ctx.usage)).output
        await anyio.sleep(0.002)
        ctx.usage.cache_read_tokens += 4
        return found

    @agent.tool
    async def deep(ctx: RunContext[None]) -> str:
        return (await nested.run('Hi', usage=ctx.usage)).output

    @agent.tool
    def less(ctx: RunContext[None]) -> str:
        ctx.usage.input_tokens -= 1
        return 'less'

    @agent.tool
    def fails(ctx: RunContext[None]) -> str:
        ctx.usage.incr(RunUsage(input_tokens=11))
        raise LookupError('gone')

    return agent


CASES = [('own',), ('asks',), ('both',), ('deep',), ('less',), ('own', 'both'), ('both', 'asks', 'deep', 'own', 'less')]


@pytest.mark.parametrize('names', CASES, ids='-'.join)
@pytest.mark.parametrize('tools', ['replay', 'live', 'verify', {'own': 'live', '*': 'replay'}], ids=str)
async def test_a_replay_counts_what_the_recording_counted(names: tuple[str, ...], tools: Any, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        one = (await boss(*names).run('Hi')).usage()
    with use_cassette('a', dir=tmp_path, tools=tools):
        assert (await boss(*names).run('Hi')).usage() == one


async def test_a_tool_that_fails_has_counted_too(tmp_path: Path):
    found: list[RunUsage] = []
    for mode in ('once', 'none'):
        usage = RunUsage()
        with use_cassette('a', dir=tmp_path, record=mode), pytest.raises(LookupError):
            await boss('fails').run('Hi', usage=usage)
        found.append(usage)
    assert found[0] == found[1]
    assert found[0].input_tokens > 11


async def test_runs_side_by_side_do_not_count_for_each_others_tools(tmp_path: Path):
    found: list[RunUsage] = []
    for mode in ('once', 'none'):
        usage = RunUsage()
        with use_cassette('a', dir=tmp_path, record=mode):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(partial(boss('asks', 'asks').run, 'Hi', usage=usage))
        found.append(usage)
    assert found[0] == found[1]


async def test_only_what_a_tool_counts_itself_stands_in_the_cassette(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await boss('asks', 'own', 'both').run('Hi')
    runs = json.loads((tmp_path / 'a.json').read_text())['runs']
    results = next(node['results'] for node in runs[0]['nodes'] if 'results' in node)
    assert {place: result['usage'] for place, result in results.items()} == {
        '1': {
            'requests': 1,
            'input_tokens': 7,
            'output_audio_tokens': 5,
            'details': {'pages': 2},
            'cache_read_tokens': 3,
        }
        if 'cache_read_tokens' in results['1']['usage']
        else {'requests': 1, 'input_tokens': 7, 'output_audio_tokens': 5, 'details': {'pages': 2}},
        '2': {'cache_read_tokens': 7} if 'cache_read_tokens' not in results['1']['usage'] else {'cache_read_tokens': 4},
    }


async def test_a_tool_that_returns_while_a_run_beside_it_calls_tools_is_counted_for_no_tool_of_that(tmp_path: Path):
    inside, nested, agent = (
        anyio.Event(),
        Agent(calling('waits'), name='nested'),
        Agent(calling('asks', 'slow'), name='a'),
    )

    @nested.tool
    async def waits(ctx: RunContext[None]) -> str:
        inside.set()
        with anyio.fail_after(5):
            while not ctx.usage.tool_calls:
                await anyio.lowlevel.checkpoint()
        return 'slow has returned'

    @agent.tool
    async def asks(ctx: RunContext[None]) -> str:
        return (await nested.run('Hi', usage=ctx.usage)).output

    @agent.tool_plain
    async def slow() -> str:
        await inside.wait()
        return 'slow'

    with use_cassette('a', dir=tmp_path, record='once'):
        recorded = (await agent.run('Hi')).usage()
    assert '"tool_calls"' not in (tmp_path / 'a.json').read_text().replace(
        '"counted_in": {"call": 0, "tool_calls": 1}', ''
    )
    with use_cassette('a', dir=tmp_path):
        assert (await agent.run('Hi')).usage() == recorded


@pytest.mark.parametrize('usage', [{'requests': '1'}, {'requests': True}, {'details': {'a': 1.5}}, [1]])
async def test_counts_that_are_no_numbers_are_refused(usage: Any, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await boss('own').run('Hi')
    data = json.loads((tmp_path / 'a.json').read_text())
    next(node for node in data['runs'][0]['nodes'] if 'results' in node)['results']['0']['usage'] = usage
    with pytest.raises(CassetteDamaged):
        loads_edited(json.dumps(data))
