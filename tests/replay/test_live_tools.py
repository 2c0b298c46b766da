"""Tools that a replay executes: all the same, or to compare."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from agentrun import Agent, ModelRetry, RunContext
from agentrun.exceptions import UnexpectedModelBehavior
from agentrun.messages import FunctionToolResultEvent, ModelMessage, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import DeltaToolCall, DeltaToolCalls, FunctionModel
from replay import Diverged, use_cassette
from replay.errors import ReplayError
from replay.verdicts import Unplayed

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


def ticketing(model: Any, *, made: list[str] | None = None, **tools: Any) -> Agent[None, str]:
    agent = Agent(FunctionModel(model), name='agent')

    @agent.tool_plain
    def ticket() -> dict[str, str]:
        found = str(uuid4())
        if made is not None:
            made.append(found)
        return {'id': found, 'status': tools.get('status', 'open')}

    @agent.tool_plain
    def close(id: str) -> str:
        if made is not None:
            made.append(id)
        return f'closed {id}'

    return agent


def closing(messages: list[ModelMessage], _: Any) -> ModelResponse:
    if len(messages) == 1:
        return ModelResponse([ToolCallPart('ticket', {}, 'c1')])
    content: Any = messages[2].parts[0].content  # type: ignore[union-attr]
    if len(messages) == 3:
        return ModelResponse([ToolCallPart('close', f'{{"id": "{content["id"]}"}}', 'c2')])
    return ModelResponse([TextPart(f'{content["id"]} is closed')])


@pytest.mark.parametrize('tools', ['live', 'verify'])
async def test_a_live_tool_is_given_the_values_of_today_and_the_run_sees_those_recorded(tools: str, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await ticketing(closing).run('Hi')
    made: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await ticketing(closing, made=made).run('Hi')
    assert made[0] == made[1]
    assert made[0] not in one.output
    assert one.all_messages() == two.all_messages()
    assert one.all_messages_json() == two.all_messages_json()


async def test_a_result_that_differs_in_more_than_minted_values_is_a_difference(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await ticketing(closing).run('Hi')
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path, tools='verify'):
        await ticketing(closing, status='shut').run('Hi')
    assert (caught.value.expected, caught.value.got) == ('open', 'shut')


def raising(error: Exception | None, *, sequential: bool = False, seen: list[str] | None = None) -> Agent[None, str]:
    """An agent that calls `first`, `fails` and `last` at once, or one after the other."""

    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart(name, {}) for name in ('first', 'fails', 'last')])
        return ModelResponse([TextPart('Done')])

    agent = Agent(FunctionModel(model), name='agent')
    order = [] if seen is None else seen

    @agent.tool_plain(sequential=sequential)
    async def first() -> str:
        order.append('first')
        return 'first'

    @agent.tool_plain
    async def fails() -> str:
        await anyio.sleep(0.001)
        order.append('fails')
        if error is not None:
            raise error
        return 'fine'

    @agent.tool_plain
    async def last() -> str:
        if not sequential:
            await anyio.sleep(60)
        order.append('last')
        return 'last'

    return agent


@pytest.mark.parametrize('sequential', [False, True])
@pytest.mark.parametrize('tools', ['replay', 'live', 'verify', {'fails': 'live', '*': 'replay'}], ids=str)
async def test_a_call_that_raised_is_executed_and_raises_again(tools: Any, sequential: bool, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'), pytest.raises(LookupError, match='gone'):
        await raising(LookupError('gone'), sequential=sequential).run('Hi')
    seen: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools), pytest.raises(LookupError, match='gone') as caught:
        await raising(LookupError('gone'), sequential=sequential, seen=seen).run('Hi')
    assert caught.value.__context__ is None
    assert seen == {'replay': [], 'live': ['first', 'fails'], 'verify': ['first', 'fails']}.get(str(tools), ['fails'])


async def ends_in(error: type[Exception], agent: Agent[None, str], tools: str, folder: Path) -> ReplayError:
    """What a session says of a run that ends in an error."""
    session = use_cassette('a', dir=folder, tools=tools)
    session.__enter__()
    with pytest.raises(error):
        await agent.run('Hi')
    with pytest.raises(ReplayError) as caught:
        session.__exit__(None, None, None)
    return caught.value


@pytest.mark.parametrize('tools', ['live', 'verify'])
@pytest.mark.parametrize('error', [None, LookupError('not there'), ValueError('gone')], ids=repr)
async def test_a_call_that_raised_and_does_something_else_is_a_difference(
    error: Exception | None, tools: str, tmp_path: Path
):
    with use_cassette('a', dir=tmp_path, record='once'), pytest.raises(LookupError, match='gone'):
        await raising(LookupError('gone')).run('Hi')
    found = await ends_in(Diverged, raising(error), tools, tmp_path)
    assert isinstance(found, Diverged)
    assert found.divergence.cause == 'tool result'


@pytest.mark.parametrize('tools', ['live', 'verify'])
async def test_a_live_tool_that_raises_where_it_returned_ends_the_run(tools: str, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await raising(None, sequential=True).run('Hi')
    agent = raising(LookupError('gone'), sequential=True)
    found = await ends_in(LookupError if tools == 'live' else Diverged, agent, tools, tmp_path)
    assert isinstance(found, Diverged if tools == 'verify' else Unplayed)


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_sequential_calls_stay_in_order(tools: str, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await raising(None, sequential=True).run('Hi')
    seen: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools):
        await raising(None, sequential=True, seen=seen).run('Hi')
    assert seen == ([] if tools == 'replay' else ['first', 'fails', 'last'])


def delegating(asked: list[str]) -> Agent[None, str]:
    def answer(messages: list[ModelMessage], _: Any) -> ModelResponse:
        asked.append('inner')
        return ModelResponse([TextPart(f'Answer to {messages[0].parts[0].content}')])  # type: ignore[union-attr]

    inner = Agent(FunctionModel(answer), name='inner')
    agent = agent_of('research', 'research')

    @agent.tool
    async def research(ctx: RunContext[None]) -> str:
        asked.append('tool')
        return (await inner.run(f'About {uuid4()}', usage=ctx.usage)).output

    return agent


def agent_of(*names: str) -> Agent[None, str]:
    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart(name, {}) for name in names])
        return ModelResponse([TextPart('Done')])

    return Agent(FunctionModel(model), name='agent')


@pytest.mark.parametrize('tools', ['live', 'verify'])
async def test_runs_inside_of_a_live_tool_play_from_their_recordings(tools: str, tmp_path: Path):
    asked: list[str] = []
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await delegating(asked).run('Hi')
    assert asked.count('inner') == 2
    asked.clear()
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await delegating(asked).run('Hi')
    assert asked == ['tool', 'tool']
    assert one.all_messages_json() == two.all_messages_json()
    assert one.usage() == two.usage()


def remembering(*, strict: bool = False) -> Agent[list[str], str]:
    """An agent whose tool does more than return: instructions depend on it."""
    agent = Agent(FunctionModel(closing), deps_type=list[str], name='agent')

    @agent.tool
    def ticket(ctx: RunContext[list[str]]) -> dict[str, str]:
        ctx.deps.append('a ticket')
        return {'id': '7'}

    @agent.tool
    def close(ctx: RunContext[list[str]], id: str) -> str:
        return 'closed'

    @agent.instructions
    def known(ctx: RunContext[list[str]]) -> str:
        return f'Known: {", ".join(ctx.deps)}{" Be strict." if strict else ""}'

    return agent


async def test_a_mismatch_behind_tools_that_were_not_executed_names_them(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await remembering().run('Hi', deps=[])
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path):
        await remembering().run('Hi', deps=[])
    assert caught.value.unexecuted == ('ticket',)
    text = str(caught.value)
    assert 'not run   ticket (results are those recorded)' in text
    assert "use_cassette('a', tools='live')" in text
    with use_cassette('a', dir=tmp_path, tools='live'):
        await remembering().run('Hi', deps=[])


async def test_a_mismatch_before_any_tool_speaks_of_none(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await remembering().run('Hi', deps=[])
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path):
        await remembering(strict=True).run('Hi', deps=[])
    assert caught.value.unexecuted == ()
    assert 'live' not in str(caught.value)


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_a_retry_too_many_ends_calls_and_the_runs_inside_of_them(tools: str, tmp_path: Path):
    inner = Agent(FunctionModel(lambda messages, _: ModelResponse([TextPart('Hm')])), name='inner')

    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        return ModelResponse([ToolCallPart('ask', {}, 'c1'), ToolCallPart('fail', {}, 'c2')])

    agent = Agent(FunctionModel(model), name='agent', retries=0)

    @agent.tool_plain
    async def ask() -> str:
        await inner.run('Well?')
        await anyio.sleep(5)
        return 'never'

    @agent.tool_plain
    async def fail() -> str:
        await anyio.sleep(0.05)
        raise ModelRetry('No.')

    seen: list[str] = []
    for record in ('once', 'none'):
        with (
            use_cassette('a', dir=tmp_path, record=record, tools=tools),
            pytest.raises(UnexpectedModelBehavior) as caught,
        ):
            await agent.run('Hi')
        seen.append(str(caught.value))
    assert seen == ["Tool 'fail' exceeded max retries count of 0"] * 2


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_what_ended_in_the_moment_of_an_error_is_told_before_it(tools: str, tmp_path: Path):
    async def model(messages: list[ModelMessage], _: Any) -> AsyncIterator[DeltaToolCalls]:
        for place, name in enumerate(('refuse', 'fail', 'clock')):
            yield {place: DeltaToolCall(name=name, json_args='{}', tool_call_id=name)}

    agent = Agent(FunctionModel(stream_function=model), name='agent', retries=0)

    @agent.tool_plain
    async def refuse() -> str:
        await anyio.sleep(0.01)
        raise ModelRetry('No.')

    @agent.tool_plain
    async def fail() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.03)
        raise RuntimeError('not seen')

    @agent.tool_plain
    async def clock() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.05)
        return f'It is {datetime.now(zones.pop()).isoformat()}'

    zones = [timezone(timedelta(hours=9)), UTC]
    told: list[list[str]] = []
    for record in ('once', 'none'):
        told.append([])

        async def handler(_: Any, events: AsyncIterable[object]) -> None:
            async for event in events:
                told[-1].append(repr(event))

        with (
            use_cassette('a', dir=tmp_path, record=record, tools=tools),
            pytest.raises(UnexpectedModelBehavior, match="Tool 'refuse' exceeded max retries"),
        ):
            await agent.run('Hi', event_stream_handler=handler)

    assert 'It is' in told[0][-1]
    assert told[1] == told[0]
    assert len(zones) == (tools == 'replay')
