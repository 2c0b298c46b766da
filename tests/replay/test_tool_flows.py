"""Whatever becomes of a tool call, its recording and its replay show equal objects: messages, events and outputs."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agentrun import Agent, DeferredToolRequests, DeferredToolResults, ModelRetry, ToolDenied
from agentrun.exceptions import CallDeferred
from agentrun.messages import (
    BinaryContent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturn,
    ToolReturnPart,
)
from agentrun.models.function import FunctionModel
from agentrun.output import ToolOutput
from agentrun.tools import ToolApproved
from replay import use_cassette
from replay.adapters.agentrun._objects import same

pytestmark = pytest.mark.anyio

NIGHTLY = os.environ.get('HYPOTHESIS_PROFILE') == 'nightly'
TIMES, CALLS = (1000, 50) if NIGHTLY else (50, 50)


class Trip(BaseModel):
    city: str
    on: date


TRIP = Trip(city='Rome', on=date(2026, 11, 20))


def saying(*turns: Sequence[ToolCallPart | TextPart]) -> FunctionModel:
    """A model that says one thing after the other."""

    def model(messages: list[ModelMessage], _: Any) -> ModelResponse:
        said = sum(isinstance(message, ModelResponse) for message in messages)
        return ModelResponse(list(turns[min(said, len(turns) - 1)]))

    return FunctionModel(model)


DONE = [TextPart('Done')]


def unknown_tool() -> Agent[None, Any]:
    agent: Agent[None, Any] = Agent(saying([ToolCallPart('other', {}), ToolCallPart('look', {})], DONE), name='agent')
    agent.tool_plain(look)
    return agent


def look() -> Trip:
    return TRIP


def output_tool() -> Agent[None, Any]:
    turns = [ToolCallPart('look', {}), ToolCallPart('trip', {'city': 'Rome', 'on': '2026-11-20'})]
    agent: Agent[None, Any] = Agent(saying(turns), output_type=ToolOutput(Trip, name='trip'), name='agent')
    agent.tool_plain(look)
    return agent


def late_output_tool() -> Agent[None, Any]:
    wrong = [ToolCallPart('trip', {'city': 'Rome', 'on': 'never'})]
    right = [ToolCallPart('trip', {'city': 'Rome', 'on': '2026-11-20'}), ToolCallPart('look', {})]
    agent: Agent[None, Any] = Agent(
        saying(wrong, right), output_type=ToolOutput(Trip, name='trip'), name='agent', end_strategy='exhaustive'
    )
    agent.tool_plain(look)
    return agent


def output_function() -> Agent[None, Any]:
    def booked(city: str) -> tuple[str, Decimal]:
        if city == 'Pari':
            raise ModelRetry('Which city?')
        return city, Decimal('1.20')

    first, second = [ToolCallPart('final_result', {'city': 'Pari'})], [ToolCallPart('final_result', {'city': 'Paris'})]
    return Agent(saying(first, second), output_type=booked, name='agent')


def retries() -> Agent[None, Any]:
    turn = [ToolCallPart('pick', {'number': number}, f'c{number}') for number in ('x', 1, 2)]
    agent: Agent[None, Any] = Agent(saying(turn, turn[2:], DONE), name='agent', retries=2)

    @agent.tool_plain
    def pick(number: int) -> list[Trip]:
        if number == 1:
            raise ModelRetry('Higher.')
        return [TRIP] * number

    return agent


def rich_results() -> Agent[None, Any]:
    turn = [ToolCallPart(name, {}) for name in ('rich', 'file', 'nothing', 'look')]
    agent: Agent[None, Any] = Agent(saying(turn, DONE), name='agent')

    @agent.tool_plain
    def rich() -> ToolReturn:
        content = ['See', BinaryContent(b'\x89PNG', media_type='image/png')]
        return ToolReturn(datetime(2026, 11, 20, tzinfo=UTC), content=content, metadata={'trip': (1, Decimal(2))})

    @agent.tool_plain
    def file() -> BinaryContent:
        return BinaryContent(b'%PDF', media_type='application/pdf')

    @agent.tool_plain
    def nothing() -> None:
        pass

    agent.tool_plain(look)
    return agent


def edited_by_history() -> Agent[None, Any]:
    def shorten(messages: list[ModelMessage]) -> list[ModelMessage]:
        requests = [message for message in messages if isinstance(message, ModelRequest)]
        for part in (part for request in requests for part in request.parts):
            if isinstance(part, ToolReturnPart) and isinstance(part.content, Trip):
                part.content = {'short': part.content.on}
        return messages

    agent: Agent[None, Any] = Agent(
        saying([ToolCallPart('look', {})], DONE), name='agent', history_processors=[shorten]
    )
    agent.tool_plain(look)
    return agent


FLOWS = [
    unknown_tool, output_tool, late_output_tool, output_function, retries, rich_results, edited_by_history
]  # fmt: skip


async def seen(agent: Agent[None, Any]) -> list[Any]:
    """Events, output and messages of a run."""
    found: list[Any] = []
    async with agent.iter('Hi') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    found += [event async for event in events]
    assert run.result is not None
    return [found, run.result.output, run.result.all_messages(), run.result.usage()]


@pytest.mark.parametrize('flow', FLOWS)
@pytest.mark.parametrize('tools', ['replay', 'verify', 'live'])
async def test_what_becomes_of_calls_is_the_same_in_a_replay(
    flow: Callable[[], Agent[None, Any]], tools: str, tmp_path: Path
):
    with use_cassette('a', dir=tmp_path, record='once'):
        one = await seen(flow())
    with use_cassette('a', dir=tmp_path, tools=tools):
        two = await seen(flow())
    assert same(one, two)
    assert len(one[2]) > 2


def deferring() -> Agent[None, Any]:
    turn = [ToolCallPart(name, {'at': at}, f'{name}{at}') for at in (1, 2) for name in ('ask', 'wait')]
    agent: Agent[None, Any] = Agent(saying(turn, DONE), output_type=[str, DeferredToolRequests], name='agent')

    @agent.tool_plain(requires_approval=True)
    def ask(at: int) -> Trip:
        return TRIP

    @agent.tool_plain
    def wait(at: int) -> Trip:
        raise CallDeferred(metadata={'due': date(2026, 11, at)})

    return agent


@pytest.mark.parametrize('tools', ['replay', 'verify', 'live'])
async def test_results_of_deferred_calls_are_the_same_in_a_replay(tools: str, tmp_path: Path):
    found: list[Any] = []
    both: list[Any] = [{'record': 'once'}, {'tools': tools}]
    for options in both:
        with use_cassette('a', dir=tmp_path, **options):
            one = await deferring().run('Hi')
            assert isinstance(one.output, DeferredToolRequests)
            results = DeferredToolResults(
                approvals={'ask1': ToolApproved(override_args={'at': 3}), 'ask2': ToolDenied('No.')},
                calls={'wait1': TRIP, 'wait2': ToolReturn({'of': {1, 2}}, metadata=date(2026, 1, 2))},
            )
            two = await deferring().run(message_history=one.all_messages(), deferred_tool_results=results)
        found.append([one.output, one.all_messages(), two.output, two.all_messages()])
    assert same(found[0], found[1])
    assert found[0][2] == 'Done'


async def order_of(agent: Agent[None, str]) -> list[str]:
    found: list[str] = []
    async with agent.iter('Hi') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    async for event in events:
                        assert isinstance(event, FunctionToolCallEvent | FunctionToolResultEvent)
                        found.append(f'{event.event_kind} {event.tool_call_id}')
    return found


async def test_calls_start_and_end_in_the_recorded_order_each_time(tmp_path: Path):
    agent = Agent(saying([ToolCallPart('look', {'at': at}, f'c{at}') for at in range(CALLS)], DONE), name='agent')

    @agent.tool_plain(name='look')
    async def look_up(at: int) -> int:
        await anyio.sleep(at * 7 % CALLS / 2000)
        return at

    with use_cassette('a', dir=tmp_path, record='once'):
        one = await order_of(agent)
    assert one[CALLS:] != sorted(one[CALLS:])
    for _ in range(TIMES):
        with use_cassette('a', dir=tmp_path):
            assert await order_of(agent) == one
