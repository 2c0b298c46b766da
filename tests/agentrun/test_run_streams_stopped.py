"""Streamed runs stopped at each point where user code runs: nothing stays open, no task is left, messages are whole."""

import gc
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from agentrun import Agent, ModelMessage, RunContext, capture_run_messages
from agentrun.messages import AgentStreamEvent, ModelMessagesTypeAdapter
from agentrun.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

pytestmark = pytest.mark.anyio


class Enough(Exception):  # noqa: N818, named for what it says
    """Raised where a run is stopped by an error."""


class Stage:
    """An agent whose model and tools note what of them is open, and stop the run at one of the points they pass.

    Args:
        stop: What to do there.
        at: Number of the point, from 1.
    """

    def __init__(self, stop: Callable[[], None], at: int) -> None:
        self.passed = 0
        self.open: list[str] = []
        self.agent = Agent(FunctionModel(stream_function=self._say))
        self.agent.tool_plain(self.one)
        self.agent.tool_plain(self.two)
        self.agent.output_validator(self._validate)
        self._stop = stop
        self._at = at

    async def pass_point(self) -> None:
        self.passed += 1
        if self.passed == self._at:
            self._stop()
        await anyio.lowlevel.checkpoint()

    async def one(self) -> str:
        return await self._work('one')

    async def two(self) -> str:
        return await self._work('two')

    async def _work(self, name: str) -> str:
        self.open.append(name)
        try:
            for _ in range(3):
                await self.pass_point()
        finally:
            self.open.remove(name)
        return name

    async def _say(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        script: list[list[str | DeltaToolCalls]] = [
            [{place: DeltaToolCall(name, '{}', tool_call_id=name)} for place, name in enumerate(['one', 'two'])],
            [{0: DeltaToolCall('one', '{}', tool_call_id='again')}],
            ['well ', 'then'],
        ]
        self.open.append('model')
        try:
            await self.pass_point()
            for piece in script[len(messages) // 2]:
                yield piece
                await self.pass_point()
        finally:
            self.open.remove('model')

    async def _validate(self, text: str) -> str:
        await self.pass_point()
        return text


# Ways to drive, each a generator of the user's


async def by_nodes(stage: Stage) -> AsyncGenerator[object]:
    async with stage.agent.iter('go') as run:
        async for node in run:
            if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                async with cast('Any', node.stream(run.ctx)) as stream:
                    async for event in stream:
                        await stage.pass_point()
                        yield event


async def by_nodes_left_early(stage: Stage) -> AsyncGenerator[object]:
    async with stage.agent.iter('go') as run:
        async for node in run:
            if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                async with cast('Any', node.stream(run.ctx)) as stream:
                    yield await anext(aiter(stream), None) or 'nothing'


async def by_events(stage: Stage) -> AsyncGenerator[object]:
    async with aclosing(cast('Any', stage.agent.run_stream_events('go'))) as events:
        async for event in events:
            await stage.pass_point()
            yield event


async def by_run_stream(stage: Stage) -> AsyncGenerator[object]:
    async with stage.agent.run_stream('go') as result:
        async for output in result.stream_output(debounce_by=None):
            await stage.pass_point()
            yield output


async def by_handler(stage: Stage) -> AsyncGenerator[object]:
    async def handler(ctx: RunContext[None], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for _ in events:
            await stage.pass_point()

    yield (await stage.agent.run('go', event_stream_handler=handler)).output


Drive = Callable[[Stage], AsyncGenerator[object]]
DRIVES: list[Drive] = [by_nodes, by_nodes_left_early, by_events, by_run_stream, by_handler]


# Ways to stop


async def cancelled(drive: Drive, at: int) -> Stage:
    scope = anyio.CancelScope()
    stage = Stage(scope.cancel, at)
    with scope:
        await _take(drive(stage))
    assert scope.cancelled_caught == (stage.passed >= at)
    return stage


async def cancelled_within_a_step(drive: Drive, at: int) -> Stage:
    scope = anyio.CancelScope()

    def stop() -> None:
        scope.cancel()

    stage = Stage(stop, at)
    async with aclosing(drive(stage)) as items:
        going_on = True
        while going_on:
            with anyio.CancelScope() as scope:
                going_on = await anext(items, None) is not None
            going_on = going_on and not scope.cancelled_caught
    assert scope.cancelled_caught == (stage.passed >= at)
    return stage


async def broken(drive: Drive, at: int) -> Stage:
    def stop() -> None:
        raise Enough

    stage = Stage(stop, at)
    try:
        await _take(drive(stage))
    except Enough as error:
        assert error.__context__ is None  # noqa: PT017, it is raised at some points only
    else:
        assert stage.passed < at
    return stage


async def closed(drive: Drive, at: int) -> Stage:
    stage = Stage(lambda: None, 0)
    async with aclosing(drive(stage)) as items:
        for _ in range(at):
            await anext(items, None)
    return stage


async def closed_in_another_task(drive: Drive, at: int) -> Stage:
    stage = Stage(lambda: None, 0)
    items = drive(stage)
    for _ in range(at):
        await anext(items, None)
    async with anyio.create_task_group() as group:
        group.start_soon(items.aclose)
    return stage


async def _take(items: AsyncGenerator[object]) -> None:
    async with aclosing(items):
        async for _ in items:
            pass


Stop = Callable[[Drive, int], Awaitable[Stage]]
STOPS: list[Stop] = [cancelled, cancelled_within_a_step, broken, closed, closed_in_another_task]


@pytest.mark.parametrize('drive', DRIVES)
@pytest.mark.parametrize('stop', STOPS)
async def test_a_streamed_run_stopped_at_any_point_leaves_nothing_behind(drive: Drive, stop: Stop):
    before = {task.id for task in anyio.get_running_tasks()}
    reached = 0
    for at in range(1, 45):
        with capture_run_messages() as messages:
            stage = await stop(drive, at)
        assert not stage.open
        assert {task.id for task in anyio.get_running_tasks()} == before
        assert [message.kind for message in messages] == (['request', 'response'] * 3)[: len(messages)]
        reached = len(messages)
        assert ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(messages)) == messages
    assert reached == 6, 'the last points were never reached'
    gc.collect()  # a generator left open is reported here, not in another test
