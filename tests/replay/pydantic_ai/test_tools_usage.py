"""What tools count into the usage of a run is the same in a replay."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent, RunContext  # noqa: E402
from pydantic_ai.models.test import TestModel  # noqa: E402
from pydantic_ai.usage import RunUsage  # noqa: E402

from replay import use_cassette  # noqa: E402
from replay.adapters.pydantic_ai._compat import read  # noqa: E402
from tests.replay.pydantic_ai.calling import calling, calling_at, calls  # noqa: E402

pytestmark = pytest.mark.anyio


def boss(*names: str) -> Agent[None, str]:
    """An agent whose tools count by themselves, through a run of another agent, or both."""
    inner = Agent(TestModel(), name='inner')
    nested = Agent(calling(calls('own'), 'Done'), name='nested')
    agent = Agent(calling(calls(*names), 'Done'), name='boss')

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


CASES = [('own',), ('both',), ('deep',), ('less',), ('own', 'both'), ('both', 'asks', 'deep', 'own', 'less')]


@pytest.mark.parametrize('names', CASES, ids='-'.join)
@pytest.mark.parametrize('tools', ['replay', 'live', {'own': 'live', '*': 'replay'}], ids=str)
async def test_a_replay_counts_what_the_recording_counted(names: tuple[str, ...], tools: Any, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        one = read(await boss(*names).run('Hi'), 'usage')
    with use_cassette('a', dir=tmp_path, tools=tools):
        assert read(await boss(*names).run('Hi'), 'usage') == one


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
        await boss('asks', 'less').run('Hi')
    runs = json.loads((tmp_path / 'a.json').read_text())['runs']
    results = next(node['results'] for node in runs[0]['nodes'] if 'results' in node)
    spent = [result['usage'] for result in results.values() if 'usage' in result]
    assert spent == [{'input_tokens': -1}]


async def test_the_played_part_of_a_run_that_is_recorded_on_counts_its_calls(tmp_path: Path):
    def make(last: int) -> Agent[None, str]:
        inner = Agent(calling_at(calls('get'), calls('last'), 'Done'), name='inner')
        agent = Agent(calling_at(calls('asks'), 'Done'), name='agent')

        @inner.tool_plain
        def get() -> int:
            return 1

        @inner.tool_plain(name='last')
        def found() -> int:
            return last

        @agent.tool
        async def asks(ctx: RunContext[None]) -> str:
            return (await inner.run('Hi', usage=ctx.usage)).output

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        await make(1).run('Hi')
    with use_cassette('a', dir=tmp_path, record='new_episodes', tools={'get': 'replay', '*': 'live'}):
        one = read(await make(2).run('Hi'), 'usage')
    with use_cassette('a', dir=tmp_path):
        assert read(await make(2).run('Hi'), 'usage') == one
    assert one.tool_calls == 3
