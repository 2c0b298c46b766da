"""Tools of pydantic_ai's agents that a replay executes: all the same, or to compare."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from pydantic import BaseModel  # noqa: E402
from pydantic_ai import Agent, DeferredToolRequests, ModelRetry, RunContext  # noqa: E402
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402
from pydantic_ai.tools import DeferredToolResults, ToolApproved  # noqa: E402

from replay import Diverged, use_cassette  # noqa: E402
from replay.errors import ReplayError  # noqa: E402
from replay.verdicts import Unplayed  # noqa: E402
from tests.replay.pydantic_ai.calling import call, calling, calls  # noqa: E402

pytestmark = pytest.mark.anyio


def closing(messages: list[ModelMessage], _: Any) -> ModelResponse:
    """Open a ticket, close the one that was opened, and tell its id."""
    content: Any = messages[2].parts[0].content if len(messages) > 2 else {}  # type: ignore[union-attr]
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart('ticket', {}, 'c1')])
    if len(messages) == 3:
        return ModelResponse(parts=[ToolCallPart('close', f'{{"id": "{content["id"]}"}}', 'c2')])
    return ModelResponse(parts=[TextPart(f'{content["id"]} is closed')])


class Ticket(BaseModel):
    id: str
    status: str


def ticketing(*, made: list[str] | None = None, status: str = 'open') -> Agent[None, str]:
    agent = Agent(FunctionModel(closing), name='agent')
    seen = [] if made is None else made

    @agent.tool_plain
    def ticket() -> dict[str, str]:
        found = str(uuid4())
        seen.append(found)
        return {'id': found, 'status': status}

    @agent.tool_plain
    def close(id: str) -> Ticket:
        seen.append(id)
        return Ticket(id=id, status='closed')

    return agent


@pytest.mark.parametrize('tools', ['live', 'verify'])
async def test_a_live_tool_is_given_the_values_of_today_and_the_run_sees_those_recorded(tools: str, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await ticketing().run('Hi')
    made: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await ticketing(made=made).run('Hi')
    assert made[0] == made[1]
    assert made[0] not in one.output
    assert one.all_messages() == two.all_messages()
    assert one.all_messages_json() == two.all_messages_json()


async def test_a_result_that_differs_in_more_than_minted_values_is_a_difference(tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'):
        await ticketing().run('Hi')
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path, tools='verify'):
        await ticketing(status='shut').run('Hi')
    assert (caught.value.expected, caught.value.got) == ('open', 'shut')


async def test_arguments_that_an_approval_gave_are_of_today_already(tmp_path: Path):
    def make(seen: list[str]) -> Agent[None, Any]:
        agent = Agent(calling([call('send', to='x')], 'Sent'), name='agent', output_type=[str, DeferredToolRequests])

        @agent.tool_plain(requires_approval=True)
        def send(to: str) -> str:
            seen.append(to)
            return 'sent'

        return agent

    async def both(seen: list[str]) -> bytes:
        agent = make(seen)
        first = await agent.run('Hi')
        results = DeferredToolResults(approvals={'c0': ToolApproved(override_args={'to': 'y'})})
        second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
        return second.all_messages_json()

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await both([])
    seen: list[str] = []
    with use_cassette('a', dir=tmp_path, tools='live'):
        assert await both(seen) == one
    assert seen == ['y']


def raising(error: Exception | None, *, sequential: bool = False, seen: list[str] | None = None) -> Agent[None, str]:
    """An agent that calls `first`, `fails` and `last` at once, or one after the other."""
    agent = Agent(calling(calls('first', 'fails', 'last'), 'Done'), name='agent')
    order = [] if seen is None else seen

    @agent.tool_plain(sequential=sequential)
    async def first() -> str:
        order.append('first')
        return 'first'

    @agent.tool_plain(sequential=sequential)
    async def fails() -> str:
        await anyio.sleep(0.01)
        order.append('fails')
        if error is not None:
            raise error
        return 'fine'

    @agent.tool_plain(sequential=sequential)
    async def last() -> str:
        if error is not None and not sequential:
            await anyio.sleep(60)
        order.append('last')
        return 'last'

    return agent


@pytest.mark.parametrize('tools', ['replay', 'live', 'verify', {'fails': 'live', '*': 'replay'}], ids=str)
async def test_a_call_that_raised_is_executed_and_raises_again(tools: Any, tmp_path: Path):
    with use_cassette('a', dir=tmp_path, record='once'), pytest.raises(LookupError, match='gone'):
        await raising(LookupError('gone')).run('Hi')
    seen: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools), pytest.raises(LookupError, match='gone'):
        await raising(LookupError('gone'), seen=seen).run('Hi')
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
        one = await raising(None, sequential=True).run('Hi')
    seen: list[str] = []
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await raising(None, sequential=True, seen=seen).run('Hi')
    assert one.all_messages_json() == two.all_messages_json()
    assert seen == ([] if tools == 'replay' else ['first', 'fails', 'last'])


async def test_a_live_tool_may_ask_for_a_retry_where_it_returned(tmp_path: Path):
    def make(*, picky: bool) -> Agent[None, str]:
        agent = Agent(calling(calls('pick'), 'Done'), name='agent')

        @agent.tool_plain
        def pick() -> int:
            if picky:
                raise ModelRetry('another one')
            return 1

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        await make(picky=False).run('Hi')
    with pytest.raises(Diverged) as caught, use_cassette('a', dir=tmp_path, tools='live'):
        await make(picky=True).run('Hi')
    assert caught.value.divergence.kind == 'ModelRequestNode'


@pytest.mark.parametrize('tools', ['live', 'verify'])
async def test_runs_inside_of_a_live_tool_play_from_their_recordings(tools: str, tmp_path: Path):
    asked: list[str] = []

    def make() -> Agent[None, str]:
        def answer(messages: list[ModelMessage], _: Any) -> ModelResponse:
            asked.append('inner')
            return ModelResponse(parts=[TextPart(f'Answer to {messages[0].parts[0].content}')])  # type: ignore[union-attr]

        inner = Agent(FunctionModel(answer), name='inner')
        agent = Agent(calling(calls('research', 'research'), 'Done'), name='agent')

        @agent.tool
        async def research(ctx: RunContext[None]) -> str:
            asked.append('tool')
            return (await inner.run(f'About {uuid4()}', usage=ctx.usage)).output

        return agent

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await make().run('Hi')
    assert asked.count('inner') == 2
    asked.clear()
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await make().run('Hi')
    assert asked == ['tool', 'tool']
    assert one.all_messages_json() == two.all_messages_json()
