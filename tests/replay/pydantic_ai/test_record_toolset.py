"""Toolsets that are wrapped explicitly, with wrapped models, in sessions that replace nothing in the library."""

import json
from pathlib import Path
from typing import Any

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent, ModelRetry, RunContext  # noqa: E402
from pydantic_ai.toolsets import FunctionToolset  # noqa: E402

from replay import Diverged, use_cassette  # noqa: E402
from replay.adapters.pydantic_ai import record_model, record_toolset  # noqa: E402
from tests.replay.pydantic_ai.calling import call, calling_at, calls  # noqa: E402

pytestmark = pytest.mark.anyio


def wrapping(ran: list[str], *, plus: int = 0) -> Agent[None, str]:
    """An agent with two wrapped toolsets and a tool of its own."""
    one, other = FunctionToolset[None](), FunctionToolset[None]()

    @one.tool
    def add(ctx: RunContext[None], a: int) -> int:
        ran.append(f'add {a}')
        return a + 1 + plus

    @other.tool
    def pick(ctx: RunContext[None]) -> bytes:
        ran.append('pick')
        if ctx.retry == 0:
            raise ModelRetry('another one')
        return b'\xff'

    turns = [[call('add', 'a', a=1), call('pick', 'b'), call('own', 'c'), call('add', 'd', a=2)], calls('pick'), 'Done']
    toolsets = [record_toolset(one), record_toolset(other)]
    agent = Agent[None, str](record_model(calling_at(*turns), name='agent'), toolsets=toolsets, retries=2)

    @agent.tool_plain
    def own() -> str:
        ran.append('own')
        return 'own'

    return agent


def told(result: Any) -> list[Any]:
    """The parts of all messages, without their times."""
    messages = json.loads(result.all_messages_json())
    return [[{k: v for k, v in part.items() if k != 'timestamp'} for part in one['parts']] for one in messages]


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_calls_of_wrapped_toolsets_are_answered_from_the_recording(tools: str, tmp_path: Path):
    ran: list[str] = []
    with use_cassette('one', dir=tmp_path, record='once', patch=False) as recording:
        one = await wrapping(ran).run('Go')
    executed = sorted(ran)
    assert executed == ['add 1', 'add 2', 'own', 'pick', 'pick']
    for _ in range(2):
        ran.clear()
        with use_cassette('one', dir=tmp_path, patch=False, tools=tools) as replayed:
            two = await wrapping(ran).run('Go')
        assert sorted(ran) == (['own'] if tools == 'replay' else executed)
        assert told(one) == told(two)
        assert recording.all_messages_json() == replayed.all_messages_json()


async def test_another_result_is_a_difference(tmp_path: Path):
    with use_cassette('one', dir=tmp_path, record='once', patch=False):
        await wrapping([]).run('Go')
    with pytest.raises(Diverged) as caught, use_cassette('one', dir=tmp_path, patch=False, tools='verify'):
        await wrapping([], plus=1).run('Go')
    assert caught.value.divergence.cause == 'tool result'


async def test_outside_of_sessions_and_where_hooks_see_the_run_it_is_the_toolset(tmp_path: Path):
    ran: list[str] = []
    await wrapping(ran).run('Go')
    assert len(ran) == 5
    with use_cassette('one', dir=tmp_path, record='once'):
        await wrapping(ran).run('Go')
    with use_cassette('one', dir=tmp_path) as session:
        await wrapping(ran).run('Go')
    assert len(ran) == 10
    assert session.node_kinds[-1] == 'End'
