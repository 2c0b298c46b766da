"""Batches of calls of every composition: unknown tools, wrong arguments, deferred calls, limits, orders."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic_ai import Agent, DeferredToolRequests, ModelRetry, ToolReturn  # noqa: E402
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, UnexpectedModelBehavior, UsageLimitExceeded  # noqa: E402
from pydantic_ai.messages import FunctionToolResultEvent, ToolCallPart  # noqa: E402
from pydantic_ai.tools import DeferredToolResults, RunContext  # noqa: E402
from pydantic_ai.toolsets import FunctionToolset  # noqa: E402
from pydantic_ai.usage import UsageLimits  # noqa: E402

from replay import use_cassette  # noqa: E402
from tests.replay.pydantic_ai.calling import call, calling, calling_at, calls  # noqa: E402

Result = FunctionToolResultEvent
pytestmark = pytest.mark.anyio

capabilities: Any
try:
    capabilities = import_module('pydantic_ai.capabilities')
except ImportError:
    capabilities = None

HANDLES = hasattr(capabilities, 'HandleDeferredToolCalls')


async def twice(folder: Path, make: Callable[[], Agent[Any, Any]], **kwargs: Any) -> tuple[Any, str]:
    """The result of a run that is recorded, and found equal in a replay; and the cassette."""
    found: list[Any] = []
    for _ in range(2):
        with use_cassette('a', dir=folder, record='once'):
            found.append(await make().run('Go', **kwargs))
    one, other = found
    assert one.all_messages_json() == other.all_messages_json()
    assert one.all_messages() == other.all_messages()
    assert one.output == other.output
    return one, (folder / 'a.json').read_text()


def mixed(ran: list[str], *, killed: list[BaseException] | None = None) -> Agent[None, str]:
    """An agent that calls tools that exist with right and wrong arguments, and one that does not exist."""
    turn = [call('double', 'a', n=1), call('double', 'b', n='x'), call('gone', 'c'), call('double', 'd', n=2)]
    model = calling_at(turn, [call('double', 'e', n=3)], 'Done')
    ask = cast('Any', model.function)

    async def answer(messages: Any, info: Any) -> Any:  # a worker thread would outlive a loop that is killed
        if killed and len(messages) == 3:
            raise killed.pop()
        return ask(messages, info)

    model.function = answer
    agent = Agent(model, name='agent', retries=3)

    @agent.tool_plain
    async def double(n: int) -> int:
        ran.append(f'double {n}')
        await anyio.sleep(0.01 / n)
        return n * 2

    return agent


async def test_unknown_tools_and_wrong_arguments_in_a_batch_are_answered_as_they_were(tmp_path: Path):
    ran: list[str] = []
    one, _ = await twice(tmp_path, lambda: mixed(ran))
    assert sorted(ran) == ['double 1', 'double 2', 'double 3']
    assert b'Unknown tool name' in one.all_messages_json()
    assert b'int_parsing' in one.all_messages_json()


def test_such_a_batch_is_taken_from_the_journal_after_an_interruption(tmp_path: Path):
    ran: list[str] = []
    with use_cassette('b', dir=tmp_path, record='once'):
        whole = asyncio.run(mixed(ran).run('Go'))
    ran.clear()
    with pytest.raises(KeyboardInterrupt), use_cassette('a', dir=tmp_path, record='once'):
        asyncio.run(mixed(ran, killed=[KeyboardInterrupt()]).run('Go'))
    assert sorted(ran) == ['double 1', 'double 2']
    one, _ = asyncio.run(twice(tmp_path, lambda: mixed(ran)))
    assert sorted(ran) == ['double 1', 'double 2', 'double 3']
    assert one.all_messages_json() == whole.all_messages_json()


async def test_an_unknown_tool_too_often_ends_the_replay_as_it_ended_the_run(tmp_path: Path):
    found: list[str] = []
    for _ in range(2):
        agent = Agent(calling(*(calls('gone') for _ in range(4))), name='agent', retries=1)
        with (
            use_cassette('a', dir=tmp_path, record='once'),
            pytest.raises(UnexpectedModelBehavior) as caught,
        ):
            await agent.run('Go')
        found.append(str(caught.value))
    assert found[0] == found[1]


@pytest.mark.parametrize('limit', [0, 1, 2, 3])
async def test_limits_of_tool_calls_hold_in_a_replay(limit: int, tmp_path: Path):
    ran: list[str] = []
    found: list[Any] = []
    for _ in range(2):
        agent = Agent(calling_at(calls('get', 'get'), calls('get'), 'Done'), name='agent')

        @agent.tool_plain
        def get() -> int:
            ran.append('get')
            return 1

        with use_cassette('a', dir=tmp_path, record='once'):
            try:
                result = await agent.run('Go', usage_limits=UsageLimits(tool_calls_limit=limit))
                found.append(result.all_messages_json())
            except UsageLimitExceeded as error:
                found.append(str(error))
    assert found[0] == found[1]
    assert isinstance(found[0], bytes) == (limit == 3)
    assert len(ran) == min(limit, 3) if limit != 1 else len(ran) <= 1


async def test_toolsets_of_the_run_are_recorded_like_those_of_the_agent(tmp_path: Path):
    ran: list[str] = []
    extra = FunctionToolset[None]()

    @extra.tool
    def more(ctx: RunContext[None]) -> str:
        ran.append('more')
        return 'more'

    def make() -> Agent[None, str]:
        agent = Agent(calling([call('get', 'a'), call('x_more', 'b')], 'Done'), name='agent')

        @agent.tool_plain
        def get() -> str:
            ran.append('get')
            return 'got'

        return agent

    await twice(tmp_path, make, toolsets=[extra.prefixed('x')])
    assert sorted(ran) == ['get', 'more']


def ordered(seen: list[str]) -> Agent[None, str]:
    """An agent whose later calls end sooner."""
    agent = Agent(calling([call('wait', f'c{at}', n=at) for at in range(4)], 'Done'), name='agent')

    @agent.tool_plain
    async def wait(n: int) -> int:
        await anyio.sleep((4 - n) / 25)
        seen.append(f'c{n}')
        return n

    return agent


def modes() -> list[str]:
    """How calls may be executed in this version."""
    if hasattr(Agent, 'parallel_tool_call_execution_mode'):
        return ['parallel', 'sequential', 'parallel_ordered_events']
    return ['parallel', 'sequential']


@pytest.mark.parametrize('mode', modes())
@pytest.mark.parametrize('tools', ['replay', 'live'])
async def test_events_come_in_the_same_order_in_each_mode_of_execution(mode: str, tools: str, tmp_path: Path):
    async def once(ran: list[str]) -> tuple[list[str], bytes]:
        events: list[str] = []
        agent = ordered(ran)
        with ExitStack() as stack:
            if hasattr(Agent, 'parallel_tool_call_execution_mode'):
                stack.enter_context(cast('Any', agent).parallel_tool_call_execution_mode(mode))
            elif mode == 'sequential':
                stack.enter_context(agent.sequential_tool_calls())
            async with agent.iter('Go') as run:
                async for node in run:
                    if Agent.is_call_tools_node(node):
                        async with node.stream(run.ctx) as stream:
                            events += [
                                one.tool_call_id async for one in stream if isinstance(one, FunctionToolResultEvent)
                            ]
            return events, run.result.all_messages_json() if run.result else b''

    recorded: list[str] = []
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await once(recorded)
    assert recorded == ([f'c{at}' for at in range(4)] if mode == 'sequential' else [f'c{3 - at}' for at in range(4)])
    ran: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools):
        assert await once(ran) == one
    assert len(ran) == (4 if tools == 'live' else 0)


def _takes_metadata() -> bool:
    return 'metadata' in inspect.signature(CallDeferred.__init__).parameters


@pytest.mark.parametrize('kind', [CallDeferred, ApprovalRequired])
async def test_what_a_deferred_call_tells_of_itself_comes_back(kind: Any, tmp_path: Path):
    ran: list[str] = []
    telling = {'metadata': {'job': 7, 'raw': b'\x00'}} if _takes_metadata() else {}

    def make() -> Agent[None, Any]:
        output: Any = [str, DeferredToolRequests]
        agent = Agent(calling(calls('later', 'now'), 'Done'), name='agent', output_type=output)

        @agent.tool_plain
        def later() -> int:
            ran.append('later')
            raise kind(**telling)

        @agent.tool_plain
        def now() -> int:
            ran.append('now')
            return 1

        return agent

    one, _ = await twice(tmp_path, make)
    assert isinstance(one.output, DeferredToolRequests)
    assert sorted(ran) == ['later', 'now']
    if telling:
        assert one.output.metadata == {'c0': telling['metadata']}


@pytest.mark.parametrize('result', [ToolReturn(return_value=1, content='see'), ModelRetry('again'), {'a': [1]}])
async def test_results_that_others_give_reach_the_run_in_a_replay(result: Any, tmp_path: Path):
    async def both() -> list[bytes]:
        output: Any = [str, DeferredToolRequests]
        agent = Agent(calling(calls('later', 'now'), 'Done', 'Done'), name='agent', output_type=output)

        @agent.tool_plain
        def later() -> int:
            raise CallDeferred

        @agent.tool_plain
        def now() -> int:
            return 1

        first = await agent.run('Go')
        results = DeferredToolResults(calls={'c0': result})
        second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
        return [first.all_messages_json(), second.all_messages_json()]

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await both()
    with use_cassette('a', dir=tmp_path):
        assert await both() == one


@pytest.mark.skipif(not HANDLES, reason='this version hands no deferred calls to capabilities')
@pytest.mark.parametrize('approved', [True, False])
@pytest.mark.parametrize('tools', ['replay', 'live', 'verify'])
async def test_calls_that_a_capability_approves_run_within_their_node(tools: str, approved: bool, tmp_path: Path):
    ran: list[str] = []

    async def handle(ctx: Any, requests: DeferredToolRequests) -> DeferredToolResults:
        ids = [one.tool_call_id for one in requests.approvals]
        return DeferredToolResults(
            approvals=dict.fromkeys(ids, approved), calls={one.tool_call_id: 'outside' for one in requests.calls}
        )

    def make() -> Agent[None, Any]:
        options: dict[str, Any] = {'capabilities': [capabilities.HandleDeferredToolCalls(handler=handle)]}
        agent = Agent(calling(calls('plain', 'asks', 'gated', 'later'), 'Done'), name='agent', **options)

        @agent.tool_plain
        def plain() -> int:
            ran.append('plain')
            return 0

        @agent.tool
        def asks(ctx: RunContext[None]) -> int:
            if not ctx.tool_call_approved:
                raise ApprovalRequired
            ran.append('asks')
            return 1

        @agent.tool_plain(requires_approval=True)
        def gated() -> int:
            ran.append('gated')
            return 2

        @agent.tool_plain
        def later() -> int:
            raise CallDeferred

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await make().run('Go')
    executed = sorted(ran)
    assert executed == (['asks', 'gated', 'plain'] if approved else ['plain'])
    ran.clear()
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await make().run('Go')
    assert one.all_messages_json() == two.all_messages_json()
    assert one.all_messages() == two.all_messages()
    assert sorted(ran) == ([] if tools == 'replay' else executed)


@pytest.mark.skipif('tools' not in inspect.signature(ToolReturn).parameters, reason='this version reveals no tools')
async def test_tools_that_a_result_reveals_are_revealed_in_a_replay(tmp_path: Path):
    ran: list[str] = []

    def make() -> Agent[None, str]:
        agent = Agent(calling(calls('find'), [call('hidden', 'd')], 'Done'), name='agent')

        @agent.tool_plain
        def find() -> Any:
            ran.append('find')
            return cast('Any', ToolReturn)(return_value='found', tools=['hidden'])

        cast('Any', agent).tool_plain(defer_loading=True)(hidden(ran))
        return agent

    await twice(tmp_path, make)
    assert ran == ['find', 'hidden']


def hidden(ran: list[str]) -> Any:
    """A tool that is offered when it was found."""

    def hidden() -> str:
        """Give what is hidden."""
        ran.append('hidden')
        return 'hidden'

    return hidden


async def test_calls_with_one_id_come_to_the_same_in_a_replay(tmp_path: Path):
    found: list[Any] = []
    for _ in range(2):
        turn = [ToolCallPart('double', {'n': at}, tool_call_id='same') for at in (1, 2)]
        agent = Agent(calling(turn, 'Done'), name='agent')

        @agent.tool_plain
        def double(n: int) -> int:
            return n * 2

        with use_cassette('a', dir=tmp_path, record='once'):
            try:
                found.append((await agent.run('Go')).all_messages())
            except UnexpectedModelBehavior as error:  # in later versions
                found.append(str(error))
    assert found[0] == found[1]
